// results.jsonl of run.sh, as Markdown: sft_lab_gpu_table FILE. Says what was measured and nothing else; a figure that is not there is a dash.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

using nlohmann::json;

std::vector<json> lines;

/// The last result of that stage, model, kind and side, or null.
json find(const std::string& stage, const std::string& model, const std::string& kind, const std::string& side) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (line->value("stage", "") == stage && line->value("model", "") == model && line->value("kind", "") == kind && line->value("side", "") == side) {
      return line->at("result");
    }
  }
  return {};
}

double number(const json& result, const char* key) {
  return result.is_object() && result.contains(key) && result.at(key).is_number() ? result.at(key).get<double>() : NAN;
}

std::string show(double value, const char* format = "%.3g") {
  if (std::isnan(value)) return "–";
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string whyNot(const json& result) {
  if (!result.is_object()) return "not run";
  for (const char* key : {"failed", "skipped"}) {
    if (result.contains(key)) return result.at(key).get<std::string>();
  }
  return "";
}

std::vector<std::string> models() {
  std::vector<std::string> found;
  for (const json& line : lines) {
    const std::string model = line.value("model", "-");
    if (model != "-" && std::find(found.begin(), found.end(), model) == found.end()) found.push_back(model);
  }
  return found;
}

/// Largest difference of losses, step by step.
double apart(const json& a, const json& b) {
  if (!a.is_object() || !b.is_object() || !a.contains("losses") || !b.contains("losses")) return NAN;
  const auto ours = a.at("losses").get<std::vector<double>>(), theirs = b.at("losses").get<std::vector<double>>();
  double most = ours.empty() || theirs.empty() ? NAN : 0;
  for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) most = std::max(most, std::abs(ours[i] - theirs[i]));
  return most;
}

void training(double rate) {
  std::printf("\n### Training steps\n\n");
  std::printf("| model | kind | tokens/s | padded Trainer | best peer | ours / padded | ours / best | TFLOP/s | of R | of its products' ceiling | "
              "peak memory | of the leanest peer's | start to first step | losses apart |\n");
  std::printf("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
  std::vector<std::string> notes;
  for (const std::string& model : models()) {
    const json products = find("rates", model, "products", "ours");
    for (const char* kind : {"full", "full-bf16-moments", "lora", "completion", "completion-lora"}) {
      const json ours = find("train", model, kind, "ours");
      if (!ours.is_object()) continue;
      const json padded = find("train", model, kind, "padded");
      double best = NAN, memory = NAN;
      for (const std::string side : {"padded", "best", "compiled", "joined"}) {
        const json peer = find("train", model, kind, side);
        best = std::fmax(best, number(peer, "tokens_per_second"));
        const double bytes = number(peer, "peak_bytes");
        if (bytes > 0 && side != "joined") memory = std::fmin(memory, bytes);
        const std::string reason = whyNot(peer);
        if (!reason.empty() && peer.is_object()) notes.push_back(model + " " + kind + ", " + side + ": " + reason);
      }
      if (const std::string reason = whyNot(ours); !reason.empty()) notes.push_back(model + " " + kind + ", ours: " + reason);
      const auto noteRate = [&](const char* side, const char* how) {
        const double rate = number(find("train", model, kind, side), "tokens_per_second");
        if (!std::isnan(rate)) notes.push_back(model + " " + kind + ": " + show(rate, "%.0f") + " tokens/s " + how);
      };
      noteRate("tuned", "with the fastest algorithm of each product (SFT_LAB_CUDA_TUNE=1)");
      noteRate("apart", "with microbatches as they are cut; the peak memory is this run's, since microbatches are the peers' there");
      noteRate("dropout", "with dropout of 0.05");
      noteRate("wide", "with microbatches joined up to twice as many tokens");
      noteRate("joined", "by the peer with all of a step in one microbatch");
      const json cut = find("train", model, kind, "apart");
      const double peak = number(cut.is_object() ? cut : ours, "peak_bytes");
      const double speed = number(ours, "tokens_per_second"), flops = number(ours, "useful_tflops");
      const double ceiling = number(products, std::string(kind).ends_with("lora") ? "lora_tflops" : "full_tflops");
      std::printf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s MB | %s | %s s | %s |\n", model.c_str(), kind, show(speed, "%.0f").c_str(),
                  show(number(padded, "tokens_per_second"), "%.0f").c_str(), show(best, "%.0f").c_str(),
                  show(speed / number(padded, "tokens_per_second"), "%.2f×").c_str(), show(speed / best, "%.2f×").c_str(), show(flops).c_str(),
                  show(flops / rate, "%.2f").c_str(), show(flops / ceiling, "%.2f").c_str(), show(peak / 1e6, "%.0f").c_str(),
                  show(peak / memory, "%.2f×").c_str(), show(number(ours, "start_to_first_step"), "%.2f").c_str(),
                  show(apart(ours, padded), "%.1e").c_str());
    }
  }
  std::printf("\n");
  for (const std::string& note : notes) std::printf("- %s\n", note.c_str());
}

void generation() {
  std::printf("\n### Generation, 64 prompts at once\n\n| model | ours | without CUDA graphs | `generate` | times as fast |\n|---|---:|---:|---:|---:|\n");
  for (const std::string& model : models()) {
    const double ours = number(find("generate", model, "batch", "ours"), "seconds"), theirs = number(find("generate", model, "batch", "padded"), "seconds");
    const double plain = number(find("generate", model, "batch", "plain"), "seconds");
    std::printf("| %s | %s s | %s s | %s s | %s |\n", model.c_str(), show(ours).c_str(), show(plain).c_str(), show(theirs).c_str(), show(theirs / ours, "%.2f×").c_str());
  }
}

void rates() {
  std::printf("\n### What the card can do\n");
  for (const std::string& model : models()) {
    const json products = find("rates", model, "products", "ours"), operations = find("rates", model, "operations", "ours");
    if (products.is_object() && products.contains("shapes")) {
      std::printf("\nProducts of %s (TFLOP/s; all of a full step together %s, of LoRA's %s):\n\n| layer | forward | gradient of the input | of the weight |\n"
                  "|---|---:|---:|---:|\n",
                  model.c_str(), show(number(products, "full_tflops")).c_str(), show(number(products, "lora_tflops")).c_str());
      for (const json& shape : products.at("shapes")) {
        std::printf("| %s | %s | %s | %s |\n", shape.at("layer").get<std::string>().c_str(), show(number(shape, "forward_tflops")).c_str(),
                    show(number(shape, "input_tflops")).c_str(), show(number(shape, "weight_tflops")).c_str());
      }
    }
    if (operations.is_object() && operations.contains("operations")) {
      std::printf("\nOther operations of %s:\n\n| operation | µs | GB/s | TFLOP/s |\n|---|---:|---:|---:|\n", model.c_str());
      for (const json& one : operations.at("operations")) {
        std::printf("| %s | %s | %s | %s |\n", one.at("operation").get<std::string>().c_str(), show(number(one, "microseconds"), "%.0f").c_str(),
                    show(number(one, "gigabytes_per_second"), "%.0f").c_str(), show(number(one, "tflops")).c_str());
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: sft_lab_gpu_table results.jsonl\n");
    return 2;
  }
  std::ifstream in(argv[1]);
  if (!in) {
    std::fprintf(stderr, "there are no results: %s\n", argv[1]);
    return 1;
  }
  for (std::string line; std::getline(in, line);) {
    json parsed = json::parse(line, nullptr, false);
    if (parsed.is_object() && parsed.contains("result")) lines.push_back(std::move(parsed));  // a torn last line is no result
  }
  const double rate = number(find("rates", "-", "square", "ours"), "tflops");
  for (const json& line : lines) {
    if (line.value("stage", "") != "card") continue;
    std::printf("%s, driver %s, %s; a large bf16 product (R): %s TFLOP/s", line.at("result").value("name", "?").c_str(), line.value("driver", "").c_str(),
                line.value("date", "").c_str(), show(rate).c_str());
    break;
  }
  const json versions = find("versions", "-", "-", "peers");
  if (versions.is_object()) {
    std::printf("; peers:");
    for (const auto& [name, version] : versions.items()) std::printf(" %s %s", name.c_str(), version.dump().c_str());
  }
  std::printf(".\n");
  for (const json& line : lines) {
    if (line.value("stage", "") == "test") {
      std::printf("\nTests: %d passed, %d failed.\n", line.at("result").value("passed", 0), line.at("result").value("broken", 0));
    } else if (line.value("stage", "") == "sanitize") {
      std::printf("\ncompute-sanitizer, %s: %s (exit code %d).\n", line.value("kind", "").c_str(), line.at("result").value("summary", "").c_str(),
                  line.at("result").value("code", -1));
    }
  }
  training(rate);
  generation();
  rates();
  return 0;
}
