// A stand-in for TFLM's header of this name; see micro_interpreter.h beside it.
#ifndef EDGEFM_TESTS_SYSTEM_SETUP_H_
#define EDGEFM_TESTS_SYSTEM_SETUP_H_

namespace tflite {
namespace micro {
inline void InitializeTarget() {}
}  // namespace micro
}  // namespace tflite

#endif  // EDGEFM_TESTS_SYSTEM_SETUP_H_
