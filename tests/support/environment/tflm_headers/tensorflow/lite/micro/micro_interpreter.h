// A stand-in for TFLM's header of this name, for machines without TFLM's sources: the classes that a generated main.cc
// uses. The interpreter is that of the Python package tflite-micro, in a child process: it gets the model from the C array,
// the arena's size and the operators, so that a program that prints OK has shown all of them to be right.
//
// EDGEFM_TFLM_CHILD: the command line of tests/support/environment/tflm_child.py; EDGEFM_TFLM_MODEL_BYTES: how long the model is.
#ifndef EDGEFM_TESTS_MICRO_INTERPRETER_H_
#define EDGEFM_TESTS_MICRO_INTERPRETER_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace tflite {

struct Model {};
inline const Model* GetModel(const void* data) { return static_cast<const Model*>(data); }

namespace micro {

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteNoType = 0, kTfLiteInt8 = 9 };

struct TfLiteTensor {
  TfLiteType type;
  struct {
    int8_t* int8;
  } data;
  size_t bytes;
};

class MicroOpResolver {
 public:
  virtual ~MicroOpResolver() = default;
  virtual std::string Names() const = 0;
};

class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* arena, size_t arena_size)
      : model_(model), resolver_(resolver), arena_(arena), arena_size_(arena_size) {}

  TfLiteStatus AllocateTensors() {
    if (reinterpret_cast<uintptr_t>(arena_) % 16 != 0 || reinterpret_cast<uintptr_t>(model_) % 16 != 0) {
      return kTfLiteError;
    }
    const char* command = std::getenv("EDGEFM_TFLM_CHILD");
    const char* model_bytes = std::getenv("EDGEFM_TFLM_MODEL_BYTES");
    if (command == nullptr || model_bytes == nullptr || !Start(command)) return kTfLiteError;
    const size_t count = std::strtoul(model_bytes, nullptr, 10);
    std::fprintf(to_, "%zu %zu %s\n", count, arena_size_, resolver_.Names().c_str());
    std::fwrite(model_, 1, count, to_);
    std::fflush(to_);
    size_t sizes[2];
    if (std::fscanf(from_, "%zu %zu", &sizes[0], &sizes[1]) != 2 || std::fgetc(from_) != '\n') return kTfLiteError;
    for (int i = 0; i < 2; ++i) {
      values_[i].resize(sizes[i]);
      tensors_[i] = {kTfLiteInt8, {values_[i].data()}, sizes[i]};
    }
    return kTfLiteOk;
  }

  TfLiteTensor* input(size_t) { return &tensors_[0]; }
  TfLiteTensor* output(size_t) { return &tensors_[1]; }

  TfLiteStatus Invoke() {
    std::fwrite(values_[0].data(), 1, values_[0].size(), to_);
    std::fflush(to_);
    const size_t got = std::fread(values_[1].data(), 1, values_[1].size(), from_);
    return got == values_[1].size() ? kTfLiteOk : kTfLiteError;
  }

 private:
  bool Start(const char* command) {
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0) return false;
    const pid_t child = fork();
    if (child == 0) {
      dup2(down[0], 0);
      dup2(up[1], 1);
      for (int end : {down[0], down[1], up[0], up[1]}) close(end);
      execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
      _exit(127);
    }
    close(down[0]);
    close(up[1]);
    to_ = fdopen(down[1], "wb");
    from_ = fdopen(up[0], "rb");
    return child > 0;
  }

  const Model* model_;
  const MicroOpResolver& resolver_;
  uint8_t* arena_;
  size_t arena_size_;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  std::vector<int8_t> values_[2];
  TfLiteTensor tensors_[2] = {};
};

}  // namespace micro
}  // namespace tflite

#endif  // EDGEFM_TESTS_MICRO_INTERPRETER_H_
