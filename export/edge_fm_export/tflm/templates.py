"""Texts of the generated C++ sources; `$name` is filled in by `sources`. C++17, no exceptions, no heap."""

MODEL_HEADER = """\
// $title: an image classifier for TensorFlow Lite Micro, made by EdgeFM. Do not edit: export again.
#ifndef $guard
#define $guard

#include <cstddef>
#include <cstdint>

namespace $name {

// Input: int8 [1, $height, $width, $channels], row by row from the top, channels ($colour) last.
constexpr int kHeight = $height;
constexpr int kWidth = $width;
constexpr int kChannels = $channels;
constexpr int kInputBytes = kHeight * kWidth * kChannels;
constexpr float kInputScale = $input_scale;
constexpr int kInputZeroPoint = $input_zero;

// Output: int8 [1, $classes], a probability for each label: kOutputScale * (value - kOutputZeroPoint).$decision
constexpr int kClasses = $classes;
constexpr float kOutputScale = $output_scale;
constexpr int kOutputZeroPoint = $output_zero;
$scores
// The smallest arena, found with the reference kernels on a 64-bit machine. Other kernels may need more: look at
// MicroInterpreter::arena_used_bytes(). Align it to 16 bytes.
constexpr std::size_t kArenaBytes = $arena;

// Flash: the model, and with it one kernel for each of $operator_count operators:
// $operators.
constexpr std::size_t kModelBytes = $model_bytes;
constexpr unsigned int kOperators = $operator_count;

extern const unsigned char kModel[kModelBytes];
extern const char* const kLabels[kClasses];  // UTF-8

// A pixel, 0 to 255 as it is, as the input takes it: the scaling is in kInputScale and kInputZeroPoint.
inline std::int8_t FromPixel(std::uint8_t pixel) {
  return static_cast<std::int8_t>(static_cast<int>(pixel) - 128);
}

// The probability that an output value stands for.
inline float ToProbability(std::int8_t value) {
  return kOutputScale * static_cast<float>(static_cast<int>(value) - kOutputZeroPoint);
}

// Add the model's operators to a MicroMutableOpResolver<kOperators>; false where one cannot be added.
template <typename Resolver>
bool AddOperators(Resolver& resolver) {
  return $added;
}

}  // namespace $name

#endif  // $guard
"""

MODEL_SOURCE = """\
// $title: the model and its labels, made by EdgeFM. Do not edit: export again.
#include "model.h"

namespace $name {

alignas(16) const unsigned char kModel[kModelBytes] = {
$model
};

const char* const kLabels[kClasses] = {
$labels
};

}  // namespace $name
"""

GOLDEN_HEADER = """\
// $title: golden inputs, and what the model gives for them in TFLM's reference kernels. Made by EdgeFM.
#ifndef $golden_guard
#define $golden_guard

#include <cstdint>

#include "model.h"

namespace $name {

constexpr int kGoldenCount = $golden_count;
extern const std::int8_t kGoldenInputs[kGoldenCount][kInputBytes];
extern const std::int8_t kGoldenOutputs[kGoldenCount][kClasses];

}  // namespace $name

#endif  // $golden_guard
"""

GOLDEN_SOURCE = """\
// $title: golden inputs and outputs, made by EdgeFM.
#include "golden.h"

namespace $name {

const std::int8_t kGoldenInputs[kGoldenCount][kInputBytes] = {
$golden_inputs
};

const std::int8_t kGoldenOutputs[kGoldenCount][kClasses] = {
$golden_outputs
};

}  // namespace $name
"""

MAIN = """\
// $title: classify the golden inputs and compare with what the export recorded. Prints OK and returns 0 where each gets
// the same label. Made by EdgeFM.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "golden.h"
#include "model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#if __has_include("tensorflow/lite/schema/schema_generated.h")
#include "tensorflow/lite/schema/schema_generated.h"
#endif

// Newer versions of TFLM have their names in tflite::micro, older ones in tflite and outside.
namespace tflite {
namespace micro {}
}  // namespace tflite

namespace {

using namespace $name;
using namespace tflite;
using namespace tflite::micro;

alignas(16) std::uint8_t arena[kArenaBytes];

int Best(const std::int8_t* values) {
  int best = 0;
  for (int i = 1; i < kClasses; ++i) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}

int Fail(const char* what) {
  std::printf("FAILED: %s\\n", what);
  return 1;
}

int Run() {
  MicroMutableOpResolver<kOperators> resolver;
  if (!AddOperators(resolver)) return Fail("an operator cannot be added to the resolver");
  MicroInterpreter interpreter(GetModel(kModel), resolver, arena, kArenaBytes);
  if (interpreter.AllocateTensors() != kTfLiteOk) return Fail("the arena is too small, or a kernel is missing");
  auto* input = interpreter.input(0);
  auto* output = interpreter.output(0);
  if (input == nullptr || input->type != kTfLiteInt8 || input->bytes != static_cast<std::size_t>(kInputBytes)) {
    return Fail("the input is not what model.h says");
  }
  if (output == nullptr || output->type != kTfLiteInt8 || output->bytes != static_cast<std::size_t>(kClasses)) {
    return Fail("the output is not what model.h says");
  }
  int right = 0;
  int largest = 0;
  for (int n = 0; n < kGoldenCount; ++n) {
    std::memcpy(input->data.int8, kGoldenInputs[n], kInputBytes);
    if (interpreter.Invoke() != kTfLiteOk) return Fail("the model does not run");
    const int best = Best(output->data.int8);
    const int expected = Best(kGoldenOutputs[n]);
    for (int i = 0; i < kClasses; ++i) {
      const int difference = std::abs(output->data.int8[i] - kGoldenOutputs[n][i]);
      if (difference > largest) largest = difference;
    }
    std::printf("%d: %s %.3f\\n", n, kLabels[best], static_cast<double>(ToProbability(output->data.int8[best])));
    if (best == expected) {
      ++right;
    } else {
      std::printf("   expected: %s\\n", kLabels[expected]);
    }
  }
  std::printf("%d of %d golden inputs have the expected label; largest difference %d of 256\\n", right, kGoldenCount,
              largest);
  if (right != kGoldenCount) return Fail("not the labels that the export recorded");
  std::printf("OK\\n");
  return 0;
}

}  // namespace

int main() {
  InitializeTarget();
  return Run();
}
"""

CMAKE = """\
# $title: builds main.cc with TensorFlow Lite Micro. Made by EdgeFM.
#
# TFLM_DIR is a tree of sources that TFLM's own script makes (tflite-micro, here of commit $commit):
# in the root of its repository:
#   python3 tensorflow/lite/micro/tools/project_generation/create_tflm_tree.py TFLM_DIR
cmake_minimum_required(VERSION 3.16)
project($name LANGUAGES C CXX)

set(TFLM_DIR "" CACHE PATH "Tree of TFLM's sources, made by create_tflm_tree.py")
if(NOT EXISTS "$${TFLM_DIR}/tensorflow/lite/micro/micro_interpreter.h")
  message(FATAL_ERROR
    "TFLM_DIR must name a tree made by TFLM's create_tflm_tree.py, by cmake -DTFLM_DIR=DIR; it is '$${TFLM_DIR}'.")
endif()

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# A library for your own program: the model, its labels and its operators.
add_library($${PROJECT_NAME} STATIC model.cc)
target_include_directories($${PROJECT_NAME} PUBLIC "$${CMAKE_CURRENT_SOURCE_DIR}")
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options($${PROJECT_NAME} PUBLIC "$$<$$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti>")
endif()

file(GLOB_RECURSE TFLM_SOURCES CONFIGURE_DEPENDS
  "$${TFLM_DIR}/tensorflow/*.cc" "$${TFLM_DIR}/tensorflow/*.c" "$${TFLM_DIR}/tensorflow/*.cpp"
  "$${TFLM_DIR}/signal/*.cc" "$${TFLM_DIR}/signal/*.c")
add_executable(classify main.cc golden.cc $${TFLM_SOURCES})
target_include_directories(classify PRIVATE "$${TFLM_DIR}"
  "$${TFLM_DIR}/third_party/flatbuffers/include" "$${TFLM_DIR}/third_party/gemmlowp"
  "$${TFLM_DIR}/third_party/ruy" "$${TFLM_DIR}/third_party/kissfft" "$${TFLM_DIR}/third_party/kissfft/tools")
target_compile_definitions(classify PRIVATE TF_LITE_STATIC_MEMORY)
target_link_libraries(classify PRIVATE $${PROJECT_NAME})
"""
