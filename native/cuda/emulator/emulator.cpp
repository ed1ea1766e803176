#include "cuda/emulator/emulator.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "cuda/failure.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace sftlab::emulator {

Index thread, block, grid;
unsigned threads = 0, replays = 0;

namespace {

constexpr size_t kStack = 256 << 10;

enum class State : uint8_t { ready, atBlockBarrier, atWarpBarrier, done };

#ifdef __x86_64__
// Keeps what a call has to preserve on this stack and goes on on the other one.
extern "C" void sftlab_switch_stack(void** from, void* to);
asm(R"(
.text
.globl sftlab_switch_stack
.hidden sftlab_switch_stack
.type sftlab_switch_stack, @function
sftlab_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size sftlab_switch_stack, .-sftlab_switch_stack
)");
#endif

struct Fibre {
  char* stack = nullptr;
  State state = State::ready;
  bool begun = false;
  uint64_t given = 0;
#ifdef __x86_64__
  void* top = nullptr;
#else
  ucontext_t context{};
#endif
  void* shadow = nullptr;  ///< the sanitizer's
};

struct Machine {
  std::mutex busy;  ///< there is one machine, and each model has a thread
  uint64_t launches = 0;
  std::vector<Fibre> fibres;
  std::vector<char*> stacks;
  std::vector<char> shared;
  const std::function<void()>* kernel = nullptr;
  unsigned current = 0;
#ifdef __x86_64__
  void* top = nullptr;
#else
  ucontext_t context{};
#endif
  void* shadow = nullptr;
  const void* bottom = nullptr;  ///< of the scheduler's own stack, and its size
  size_t size = 0;
};
Machine machine;

void toScheduler(bool leaves) {
  Fibre& self = machine.fibres[machine.current];
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(leaves ? nullptr : &self.shadow, machine.bottom, machine.size);
#else
  (void)leaves;
#endif
#ifdef __x86_64__
  sftlab_switch_stack(&self.top, machine.top);
#else
  swapcontext(&self.context, &machine.context);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(self.shadow, nullptr, nullptr);
#endif
}

void begin() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &machine.bottom, &machine.size);
#endif
  (*machine.kernel)();
  machine.fibres[machine.current].state = State::done;
  toScheduler(true);
}

/// Goes on with a fibre until it waits or is done.
void resume(unsigned index) {
  Fibre& fibre = machine.fibres[index];
  machine.current = index;
  thread = {index, 0, 0};
  if (!fibre.begun) {
    fibre.begun = true;
    if (machine.stacks.empty()) {
      void* const memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) throw std::bad_alloc();
      machine.stacks.push_back(static_cast<char*>(memory));
    }
    fibre.stack = machine.stacks.back();
    machine.stacks.pop_back();
#ifdef __x86_64__
    auto** const top = reinterpret_cast<void**>(fibre.stack + kStack - 64);
    top[-1] = nullptr;  // where a caller's address would stand
    top[-2] = reinterpret_cast<void*>(&begin);
    for (int i = 3; i <= 8; ++i) top[-i] = nullptr;
    fibre.top = top - 8;
#else
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack;
    fibre.context.uc_stack.ss_size = kStack;
    makecontext(&fibre.context, begin, 0);
#endif
  }
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&machine.shadow, fibre.stack, kStack);
#endif
#ifdef __x86_64__
  sftlab_switch_stack(&machine.top, fibre.top);
#else
  swapcontext(&machine.context, &fibre.context);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(machine.shadow, nullptr, nullptr);
#endif
  if (fibre.state == State::done) {
    machine.stacks.push_back(fibre.stack);
    fibre.stack = nullptr;
  }
}

/// Lets fibres [first, end) go on if all of them stand at this barrier; those that are done count where `doneCounts`.
bool release(unsigned first, unsigned end, State barrier, bool doneCounts) {
  bool any = false;
  for (unsigned i = first; i < end; ++i) {
    const State state = machine.fibres[i].state;
    if (state != barrier && !(doneCounts && state == State::done)) return false;
    any |= state == barrier;
  }
  for (unsigned i = first; i < end; ++i) {
    if (machine.fibres[i].state == barrier) machine.fibres[i].state = State::ready;
  }
  return any;
}

void runBlock() {
  machine.fibres.assign(threads, Fibre{});
  std::fill(machine.shared.begin(), machine.shared.end(), '\xFF');
  for (;;) {
    bool waits = false;
    for (unsigned i = 0; i < threads; ++i) {
      if (machine.fibres[i].state == State::ready) resume(i);
      waits |= machine.fibres[i].state != State::done;
    }
    if (!waits) return;
    bool released = release(0, threads, State::atBlockBarrier, true);
    for (unsigned first = 0; first < threads; first += kWarp) {
      released |= release(first, std::min(first + kWarp, threads), State::atWarpBarrier, false);
    }
    if (!released) throw std::logic_error("threads of a block wait for each other at different barriers");
  }
}

/// Memory that was taken, with its size.
struct Memory {
  std::mutex busy;
  std::map<void*, size_t> blocks;
  size_t taken = 0;
};
Memory memory;

uint64_t setting(const char* name, uint64_t without) {
  const char* const text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : without;
}

}  // namespace

void* allocate(size_t bytes) {
  const std::lock_guard lock(memory.busy);
  if (bytes > memoryBytes() - memory.taken) throw std::bad_alloc();
  void* const data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!data) throw std::bad_alloc();
  std::memset(data, 0xFF, bytes);  // NaN, as long as nothing was written
  memory.blocks[data] = bytes;
  memory.taken += bytes;
  return data;
}

void release(void* data) {
  const std::lock_guard lock(memory.busy);
  const auto found = memory.blocks.find(data);
  if (found == memory.blocks.end()) return;
  memory.taken -= found->second;
  memory.blocks.erase(found);
  std::free(data);
}

size_t memoryBytes() {
  static const uint64_t bytes = setting("SFT_LAB_EMULATED_MEMORY", uint64_t{80} << 30);
  return bytes;
}

int cardNumber() { return static_cast<int>(setting("SFT_LAB_EMULATED_NUMBER", 0)); }

void launch(Index blocks, unsigned threadCount, size_t sharedBytes, const std::function<void()>& kernel) {
  if (threadCount == 0 || threadCount > 1024) throw std::logic_error("a block has 1 to 1024 threads");
  if (sharedBytes > 227 << 10) throw std::logic_error("a block has at most 227 KB of shared memory");
  static const uint64_t lost = setting("SFT_LAB_EMULATED_LOST", UINT64_MAX);
  const std::lock_guard lock(machine.busy);
  if (++machine.launches >= lost) throw cuda::failure("a kernel", "the emulated card is lost");
  grid = blocks;
  threads = threadCount;
  machine.kernel = &kernel;
  machine.shared.resize(sharedBytes);
  for (block.z = 0; block.z < std::max(1u, grid.z); ++block.z) {
    for (block.y = 0; block.y < std::max(1u, grid.y); ++block.y) {
      for (block.x = 0; block.x < grid.x; ++block.x) runBlock();
    }
  }
}

void blockBarrier() {
  machine.fibres[machine.current].state = State::atBlockBarrier;
  toScheduler(false);
}

void warpBarrier() {
  machine.fibres[machine.current].state = State::atWarpBarrier;
  toScheduler(false);
}

uint64_t exchange(uint64_t value, unsigned lane) {
  const unsigned first = machine.current / kWarp * kWarp;
  machine.fibres[machine.current].given = value;
  warpBarrier();
  const uint64_t taken = machine.fibres[first + lane % kWarp].given;
  warpBarrier();
  return taken;
}

void exchangeAll(uint64_t value, uint64_t (&all)[kWarp]) {
  const unsigned first = machine.current / kWarp * kWarp;
  machine.fibres[machine.current].given = value;
  warpBarrier();
  for (unsigned lane = 0; lane < kWarp; ++lane) all[lane] = machine.fibres[first + lane].given;
}

void* sharedMemory() { return machine.shared.data(); }

}  // namespace sftlab::emulator
