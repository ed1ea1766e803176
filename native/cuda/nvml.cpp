#include "cuda/nvml.h"

#include <dlfcn.h>

namespace sftlab::cuda {

struct Nvml::Functions {
  using Card = void*;
  struct Memory {
    unsigned long long total, free, used;
  };
  struct Utilization {
    unsigned gpu, memory;  // percent
  };

  void* library = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*driverVersion)(char* text, unsigned length) = nullptr;
  int (*cardAt)(const char* busId, Card* card) = nullptr;
  int (*memory)(Card card, Memory* memory) = nullptr;
  int (*utilization)(Card card, Utilization* utilization) = nullptr;
  bool started = false;

  ~Functions() {
    if (started) shutdown();
    if (library) dlclose(library);
  }

  template <typename Function>
  bool load(const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
  }
};

Nvml::Nvml(std::unique_ptr<Functions> functions) : functions_(std::move(functions)) {}
Nvml::~Nvml() = default;

std::unique_ptr<Nvml> Nvml::open(const char* library) {
  auto functions = std::make_unique<Functions>();
  functions->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  const bool complete = functions->library && functions->load("nvmlInit_v2", functions->init) &&
                        functions->load("nvmlShutdown", functions->shutdown) &&
                        functions->load("nvmlSystemGetDriverVersion", functions->driverVersion) &&
                        functions->load("nvmlDeviceGetHandleByPciBusId_v2", functions->cardAt) &&
                        functions->load("nvmlDeviceGetMemoryInfo", functions->memory) &&
                        functions->load("nvmlDeviceGetUtilizationRates", functions->utilization);
  if (!complete || functions->init() != 0) return nullptr;
  functions->started = true;
  return std::unique_ptr<Nvml>(new Nvml(std::move(functions)));
}

const Nvml* Nvml::get() {
  static const std::unique_ptr<Nvml> nvml = open("libnvidia-ml.so.1");
  return nvml.get();
}

std::string Nvml::driver() const {
  char text[96] = "";
  return functions_->driverVersion(text, sizeof text) == 0 ? text : "";
}

std::optional<CardUse> Nvml::use(const std::string& busId) const {
  Functions::Card card = nullptr;
  Functions::Memory memory{};
  if (functions_->cardAt(busId.c_str(), &card) != 0 || functions_->memory(card, &memory) != 0) return {};
  Functions::Utilization utilization{};
  // Some virtual cards do not tell how busy they are; their memory is worth having all the same.
  if (functions_->utilization(card, &utilization) != 0) utilization = {};
  return CardUse{utilization.gpu / 100.0, static_cast<size_t>(memory.used), static_cast<size_t>(memory.free)};
}

}  // namespace sftlab::cuda
