// Scores images with an exported detector: ONNX Runtime's C API and the standard library are all that is needed.
//
//     score bolt.onnx IMAGE.ppm...
//
// Images are binary PPM files (P6, 8 bits) of the size that the file takes; `convert new.png new.ppm` makes them. A line
// for each image: name, score, p-value, verdict, row and column of the highest place of the anomaly map.

#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

const OrtApi& api() {
  static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (found == nullptr) throw std::runtime_error("the ONNX Runtime library is older than its header; install one release");
  return *found;
}

void check(OrtStatus* status) {
  if (status == nullptr) return;
  const std::string sentence = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw std::runtime_error(sentence);
}

// Pixels [height, width, 3] of 8 bits.
struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;
};

Image read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  Image image;
  int most = 0;
  if (!(file >> kind >> image.width >> image.height >> most) || kind != "P6" || most != 255 || image.width < 1 ||
      image.height < 1 || image.width > 1 << 16 || image.height > 1 << 16)
    throw std::runtime_error(path + " is no binary PPM file of 8 bits; make one with 'convert image.png image.ppm'");
  file.get();
  image.pixels.resize(static_cast<size_t>(image.height) * image.width * 3);
  if (!file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size())))
    throw std::runtime_error(path + " is cut short; copy it again");
  return image;
}

// A detector's file, open.
class Detector {
 public:
  explicit Detector(const char* path) {
    check(api().CreateEnv(ORT_LOGGING_LEVEL_WARNING, "adbench", &env_));
    check(api().CreateSessionOptions(&options_));
    check(api().CreateSession(env_, path, options_, &session_));
    check(api().GetAllocatorWithDefaultOptions(&allocator_));
    check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_));
    check(api().SessionGetOutputCount(session_, &outputs_));
    check(api().SessionGetModelMetadata(session_, &metadata_));
    const std::string limit = fact("threshold");
    has_threshold_ = limit != "null";
    threshold_ = std::strtod(limit.c_str(), nullptr);
    normal_ = numbers(fact("normal_scores"));
  }

  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  ~Detector() {
    api().ReleaseModelMetadata(metadata_);
    api().ReleaseMemoryInfo(memory_);
    api().ReleaseSession(session_);
    api().ReleaseSessionOptions(options_);
    api().ReleaseEnv(env_);
  }

  void print(const std::string& name, Image image) const {
    const int64_t shape[] = {1, image.height, image.width, 3};
    const char* const inputs[] = {"image"};
    const char* const names[] = {"score", "map"};
    OrtValue* input = nullptr;
    OrtValue* found[] = {nullptr, nullptr};
    check(api().CreateTensorWithDataAsOrtValue(memory_, image.pixels.data(), image.pixels.size(), shape, 4,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &input));
    OrtStatus* const status = api().Run(session_, nullptr, inputs, &input, 1, names, outputs_, found);
    api().ReleaseValue(input);
    check(status);
    const float score = *values(found[0]);
    int64_t place = -1;
    if (outputs_ > 1) {
      const float* const map = values(found[1]);
      place = std::max_element(map, map + image.height * image.width) - map;
    }
    const int64_t row = place < 0 ? -1 : place / image.width, column = place < 0 ? -1 : place % image.width;
    std::printf("%s,%.9g,%.4g,%s,%lld,%lld\n", name.c_str(), score, p_value(score), verdict(score),
                static_cast<long long>(row), static_cast<long long>(column));
    for (OrtValue* value : found)
      if (value != nullptr) api().ReleaseValue(value);
  }

 private:
  // What the file says of itself under a name.
  std::string fact(const char* key) const {
    char* text = nullptr;
    check(api().ModelMetadataLookupCustomMetadataMap(metadata_, allocator_, key, &text));
    if (text == nullptr) throw std::runtime_error("the file is no detector that 'adbench export' wrote");
    const std::string found = text;
    check(api().AllocatorFree(allocator_, text));
    return found;
  }

  // The numbers of a JSON array.
  static std::vector<double> numbers(const std::string& json) {
    std::vector<double> found;
    for (const char* next = json.c_str(); *next != '\0';) {
      char* end = nullptr;
      const double number = std::strtod(next, &end);
      if (end != next) found.push_back(number);
      next = end == next ? next + 1 : end;
    }
    return found;
  }

  static const float* values(OrtValue* value) {
    void* data = nullptr;
    check(api().GetTensorMutableData(value, &data));
    return static_cast<const float*>(data);
  }

  double p_value(float score) const {
    const auto as_high = std::count_if(normal_.begin(), normal_.end(), [&](double one) { return one >= score; });
    return (1.0 + static_cast<double>(as_high)) / (static_cast<double>(normal_.size()) + 1.0);
  }

  const char* verdict(float score) const {
    return !has_threshold_ ? "unknown" : score > threshold_ ? "defective" : "normal";
  }

  OrtEnv* env_ = nullptr;
  OrtSessionOptions* options_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtAllocator* allocator_ = nullptr;  // the runtime's own
  OrtMemoryInfo* memory_ = nullptr;
  OrtModelMetadata* metadata_ = nullptr;
  size_t outputs_ = 0;
  bool has_threshold_ = false;
  double threshold_ = 0;
  std::vector<double> normal_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: score DETECTOR.onnx IMAGE.ppm...\n");
    return 2;
  }
  try {
    const Detector detector(arguments[1]);
    for (int number = 2; number < count; ++number) detector.print(arguments[number], read_ppm(arguments[number]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
