#pragma once

#include <stdexcept>
#include <string>

namespace sftlab {

/// What is wrong with a user's file or request. Crosses into JavaScript as a LabError with the same fields.
class Error : public std::runtime_error {
 public:
  Error(std::string message, std::string file = {}, std::string field = {}, std::string advice = {})
      : std::runtime_error(message), file(std::move(file)), field(std::move(field)), advice(std::move(advice)) {}

  std::string file;    ///< path, or empty
  std::string field;   ///< key of config.json or name of a tensor, or empty
  std::string advice;  ///< what the reader can do, or empty
};

}  // namespace sftlab
