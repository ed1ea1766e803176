// Generation of a batch of prompts, timed: our side of trials/generate.ts.
//
//   sft_lab_bench_generate '{"model": FOLDER, "prompts": FILE, "new": 64, "stops": [2], "threads": 0}'
//
// FILE holds a JSON list of lists of token ids. Prints {"seconds": x, "cpu": y, "answers": [[ids], ...]}; x is that of one call of
// `generate`, greedy, in fp32, after a short one, and y what it took of all cores together. Where the job has "part" or "batch", with passes or batches of that size;
// "device" and "precision" are cpu and fp32 unless it says otherwise.

#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/device.h"
#include "model/model.h"

namespace {

int run(const nlohmann::json& job) {
  using Clock = std::chrono::steady_clock;
  sftlab::OpenOptions open;
  open.directory = job.at("model").get<std::string>();
  open.initialize = job.value("initialize", false);
  open.precision = job.value("precision", "fp32") == "bf16" ? sftlab::DType::bf16 : sftlab::DType::f32;
  const auto model = sftlab::Model::open(open, sftlab::bench::device(job.value("device", "cpu"), job.value("threads", 0)));
  const auto prompts =
      nlohmann::json::parse(std::ifstream(job.at("prompts").get<std::string>())).get<std::vector<std::vector<int32_t>>>();
  sftlab::GenerateOptions options;
  options.maxNewTokens = 2;
  options.passTokens = job.value("part", 0);
  options.batch = job.value("batch", 0);
  model->generate(prompts, options);
  options.maxNewTokens = job.at("new").get<int32_t>();
  options.stopTokens = job.at("stops").get<std::vector<int32_t>>();
  const std::clock_t before = std::clock();
  const auto start = Clock::now();
  const auto generated = model->generate(prompts, options);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double cpu = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  nlohmann::json answers = nlohmann::json::array();
  for (const auto& one : generated) answers.push_back(one.tokens);
  std::printf("%s\n", nlohmann::json{{"seconds", seconds}, {"cpu", cpu}, {"answers", answers}}.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::invalid_argument("one argument, a job as JSON, is wanted");
    return run(nlohmann::json::parse(argv[1]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
