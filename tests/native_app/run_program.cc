// run_program FILE [BATCH]: runs a program as an application does. After a context is made, a run must neither allocate
// nor take a lock, so both are counted: malloc and its kin, and pthread_mutex_lock, are defined here in libc's place.
#include <dlfcn.h>
#include <kcore/program.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0}, locks{0};
void* allocated(void* memory) {
  if (counting) ++allocations;
  return memory;
}
}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t size) { return allocated(__libc_malloc(size)); }
void* calloc(std::size_t count, std::size_t size) { return allocated(__libc_calloc(count, size)); }
void* realloc(void* memory, std::size_t size) { return allocated(__libc_realloc(memory, size)); }
void* aligned_alloc(std::size_t alignment, std::size_t size) { return allocated(__libc_memalign(alignment, size)); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = allocated(__libc_memalign(alignment, size));
  return *memory ? 0 : ENOMEM;
}
int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static const auto real = reinterpret_cast<int (*)(pthread_mutex_t*)>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  if (counting) ++locks;
  return real(mutex);
}
}

namespace {

// Buffers for the arguments of a program, filled with small numbers: zeros where they may be indices.
struct Buffers {
  explicit Buffers(const std::vector<kcore::Argument>& arguments) {
    for (const kcore::Argument& argument : arguments) {
      memory.emplace_back(argument.bytes() + 1);
      if (argument.dtype == kcore::DType::float32)
        for (std::size_t i = 0; i < argument.bytes() / 4; ++i) {
          const float value = static_cast<float>(static_cast<int>(i * 7 % 13) - 6) / 8;
          std::memcpy(memory.back().data() + 4 * i, &value, 4);
        }
    }
    for (auto& bytes : memory) data.push_back(bytes.data());
  }
  Buffers(Buffers&&) = default;  // a copy would point into the original
  bool operator==(const Buffers& other) const { return memory == other.memory; }
  std::vector<std::vector<char>> memory;
  std::vector<void*> data;
};

// Allocations and locks of three runs.
bool quiet(const kcore::Program& program, int threads) {
  kcore::Context context(program, threads);
  Buffers x(program.inputs()), y(program.outputs());
  allocations = locks = 0;
  counting = true;
  bool done = true;
  for (int i = 0; i < 3; ++i) done = context.run(x.data.data(), y.data.data()) && done;
  counting = false;
  std::printf("%d threads: %d allocations, %d locks%s%s\n", threads, allocations.load(), locks.load(),
              done ? "" : ", failed: ", done ? "" : context.error());
  return done && allocations == 0 && (threads != 1 || locks == 0);
}

// Threads with contexts of their own, and one with a context that is reset, compute the same.
bool shared(const kcore::Program& program) {
  std::vector<Buffers> results;
  for (int i = 0; i < 4; ++i) results.emplace_back(program.outputs());
  std::vector<std::thread> threads;
  const Buffers x(program.inputs());
  for (Buffers& y : results)
    threads.emplace_back([&] {
      kcore::Context context(program, 1);
      for (int i = 0; i < 3; ++i) {
        context.reset();
        context.run(x.data.data(), y.data.data());
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const Buffers& y : results)
    if (!(y == results[0])) return std::printf("threads disagree\n"), false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    kcore::LoadOptions options;
    if (argc > 2) options.batch = std::atoi(argv[2]);
    const kcore::Program program = kcore::Program::load(argv[1], options);
    for (const kcore::Argument& x : program.inputs())
      std::printf("input %s %s %s\n", x.name.c_str(), kcore::name_of(x.dtype), kcore::to_string(x.shape).c_str());
    for (const kcore::Argument& y : program.outputs())
      std::printf("output %s %s %s\n", y.name.c_str(), kcore::name_of(y.dtype), kcore::to_string(y.shape).c_str());
    bool good = quiet(program, 1);
    good = quiet(program, 2) && good;
    return shared(program) && good ? 0 : 1;
  } catch (const kcore::Error& error) {
    std::printf("%s\n", error.what());
    return 2;
  }
}
