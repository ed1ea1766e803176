// Windows only. There a library names the file that each of its functions comes from, and what loads this addon is node.exe, or an
// editor of any other name. So every function of Node-API is a jump to what the running program exports under its name, looked up as
// the addon is loaded; node-gyp's hook for delayed loading does the same, for linkers that know such loading.

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

namespace {

/// In the place of what an older program lacks: `napi_generic_failure` of js_native_api_types.h.
int missing() { return 9; }

}  // namespace

#if defined(__x86_64__)
#define SFT_LAB_JUMP(name) "jmpq *target_" #name "(%rip)"
#else
#define SFT_LAB_JUMP(name) "adrp x16, target_" #name "\n ldr x16, [x16, :lo12:target_" #name "]\n br x16"
#endif

extern "C" {
#define SFT_LAB_FUNCTION(name) \
  __attribute__((used)) void* target_##name = nullptr; \
  __attribute__((naked)) void name() { asm(SFT_LAB_JUMP(name)); }
#include "node_api_functions.inc"  // one SFT_LAB_FUNCTION(name) each, made by CMake
#undef SFT_LAB_FUNCTION
}

namespace {

[[maybe_unused]] const bool looked = [] {
  const HMODULE program = GetModuleHandleW(nullptr);
  const auto find = [program](const char* name) {
    void* const found = reinterpret_cast<void*>(GetProcAddress(program, name));
    return found ? found : reinterpret_cast<void*>(&missing);
  };
#define SFT_LAB_FUNCTION(name) target_##name = find(#name);
#include "node_api_functions.inc"
#undef SFT_LAB_FUNCTION
  return true;
}();

}  // namespace
