/* A library as libnvidia-ml.so.1 looks from outside, with one card, for nvml_test.cpp to be opened by the real loader. */
#include <stdio.h>
#include <string.h>

static int running;

int nvmlInit_v2(void) { return running++ ? 1 : 0; }
int nvmlShutdown(void) { return running-- == 1 ? 0 : 1; }
int nvmlSystemGetDriverVersion(char* text, unsigned length) { return snprintf(text, length, "580.1.2") < (int)length ? 0 : 7; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** card) {
  if (strcmp(bus, "0000:65:00.0") != 0) return 6;
  *card = &running;
  return 0;
}
int nvmlDeviceGetMemoryInfo(void* card, unsigned long long* memory) {
  if (card != &running) return 2;
  memory[0] = 80ull << 30;
  memory[1] = 50ull << 30;
  memory[2] = 30ull << 30;
  return 0;
}
int nvmlDeviceGetUtilizationRates(void* card, unsigned* rates) {
  rates[0] = 75;
  rates[1] = 20;
  return card == &running ? 0 : 2;
}
