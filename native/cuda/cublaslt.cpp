#include "cuda/cublaslt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "io/error.h"

namespace sftlab::cuda {

namespace {

namespace fs = std::filesystem;

/// Names to try, the nearest first: what the loader finds by itself, the toolkit, Python environments.
std::vector<std::string> candidates() {
  std::vector<std::string> names;
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}) names.emplace_back(name);
  std::vector<fs::path> folders{"/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib"};
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const char* root = std::getenv(variable)) folders.emplace_back(root);
  }
  // The environment whose python is the first on the path, though nobody activated it.
  std::istringstream path(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');) {
    std::error_code ignored;
    if (folder.empty() || !fs::exists(fs::path(folder) / "python3", ignored)) continue;
    folders.push_back(fs::path(folder).parent_path() / "lib");
    break;
  }
  for (const char* root : {"/usr/local/lib", "/usr/lib/python3", "/opt/conda/lib"}) folders.emplace_back(root);
  for (const fs::path& folder : folders) {
    std::error_code ignored;
    if (!fs::is_directory(folder, ignored)) continue;
    for (const char* version : {".13", ".12"}) {
      const fs::path direct = folder / (std::string("libcublasLt.so") + version);
      if (fs::exists(direct, ignored)) names.push_back(direct);
    }
    // <root>/lib/python3.x/site-packages/nvidia/{cublas,cu13}/lib
    auto walk = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, ignored);
    for (; walk != fs::recursive_directory_iterator(); walk.increment(ignored)) {
      const std::string name = walk->path().filename();
      const int depth = walk.depth();
      const bool inside = name == "lib" || name == "nvidia" || name == "site-packages" || name == "dist-packages" ||
                          name.starts_with("python3") || name == "cublas" || name.starts_with("cu1");
      if (walk->is_directory(ignored) && (!inside || depth > 6)) walk.disable_recursion_pending();
      if (name == "libcublasLt.so.13" || name == "libcublasLt.so.12") names.push_back(walk->path());
    }
  }
  return names;
}

template <typename Function>
void load(void* library, const char* name, Function& function) {
  void* const symbol = dlsym(library, name);
  if (!symbol) throw Error(std::string("cuBLASLt has no function ") + name);
  function = reinterpret_cast<Function>(symbol);
}

CublasLt open() {
  void* library = nullptr;
  for (const std::string& name : candidates()) {
    library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library) break;
  }
  if (!library) {
    throw Error("the library cuBLASLt (libcublasLt.so) is missing", {}, "device",
                "Install the CUDA toolkit's libcublas, or the Python package nvidia-cublas-cu12 in the active environment; or set device to cpu.");
  }
  CublasLt lt{};
  load(library, "cublasLtCreate", lt.create);
  load(library, "cublasLtDestroy", lt.destroy);
  load(library, "cublasLtMatmulDescCreate", lt.matmulDescCreate);
  load(library, "cublasLtMatmulDescDestroy", lt.matmulDescDestroy);
  load(library, "cublasLtMatmulDescSetAttribute", lt.matmulDescSetAttribute);
  load(library, "cublasLtMatrixLayoutCreate", lt.layoutCreate);
  load(library, "cublasLtMatrixLayoutDestroy", lt.layoutDestroy);
  load(library, "cublasLtMatmulPreferenceCreate", lt.preferenceCreate);
  load(library, "cublasLtMatmulPreferenceDestroy", lt.preferenceDestroy);
  load(library, "cublasLtMatmulPreferenceSetAttribute", lt.preferenceSetAttribute);
  load(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristic);
  load(library, "cublasLtMatmul", lt.matmul);
  return lt;
}

}  // namespace

const CublasLt& CublasLt::get() {
  static const CublasLt lt = open();
  return lt;
}

}  // namespace sftlab::cuda
