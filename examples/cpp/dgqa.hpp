// Scores photographs on a device: C++17, ONNX Runtime and a bundle's lone model.onnx, nothing of Python.
//
// dgqa::Scorer scorer("model.onnx");
// dgqa::Result result = scorer.score(rgb, width, height);   // uint8 [height, width, 3], sRGB, upright
//
// The shrinking below gives the Python library's very bytes. A plain "bicubic" that is not antialiased does not, and
// scores notice.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace dgqa {

using Bytes = std::vector<std::uint8_t>;

// uint8 [height, width, 3], RGB.
struct Image {
    int width = 0, height = 0;
    Bytes pixels;
};

// The part of an image that a photograph fills, in pixels; its edges may fall within one.
struct Box {
    double left, top, right, bottom;
};

// As the model's metadata has it.
struct Preprocessing {
    int short_side = 512, crop = 224, grid = 5;
    int decoded_side = 0;  // a JPEG may be decoded at 1/2, 1/4 or 1/8 that keeps so many pixels; 0: never
    bool simd = true;      // whether shrinking is fast_image_resize's or, as always enlarging, Pillow's
};

// ---- Resizing ------------------------------------------------------------------------------------------------

constexpr double kPi = 3.14159265358979323846;

// Catmull-Rom's kernel: cubic convolution with a = -1/2.
inline double bicubic(double x) {
    x = std::abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

// What one axis takes from the source for each pixel of the result, in fixed point.
struct Taps {
    int widest = 0, bits = 22;
    std::vector<int> first, count;
    std::vector<std::int32_t> weights;  // [result, widest]
};

// Source pixels from `begin` to `end` of `size` become `to`. fast_image_resize's weights have 16 bits, Pillow's 22.
inline Taps taps_of(int size, double begin, double end, int to, bool simd) {
    const double scale = (end - begin) / to, stretch = std::max(scale, 1.0), support = 2 * stretch;
    Taps taps;
    taps.widest = static_cast<int>(std::ceil(support)) * 2 + 1;
    std::vector<double> values(static_cast<std::size_t>(to) * taps.widest, 0);
    for (int place = 0; place < to; ++place) {
        const double centre = begin + (place + 0.5) * scale, half = simd ? 0 : 0.5;
        const double low = simd ? std::floor(centre - support) : centre - support + half;
        const double high = simd ? std::ceil(centre + support) : centre + support + half;
        taps.first.push_back(std::max(static_cast<int>(low), 0));
        taps.count.push_back(std::min(static_cast<int>(high), size) - taps.first.back());
        double* row = &values[static_cast<std::size_t>(place) * taps.widest];
        double sum = 0;
        for (int k = 0; k < taps.count.back(); ++k)
            sum += row[k] = bicubic((k + taps.first.back() - centre + 0.5) * (1 / stretch));
        for (int k = 0; k < taps.count.back() && sum != 0; ++k) row[k] /= sum;
    }
    if (simd) {  // as many as let the largest weight fit 16 bits
        const double largest = *std::max_element(values.begin(), values.end());
        for (taps.bits = 0; taps.bits < 21 && std::round(largest * (2 << taps.bits)) < 32768; ++taps.bits) {}
    }
    for (const double value : values)
        taps.weights.push_back(static_cast<std::int32_t>(std::round(value * (1 << taps.bits))));
    return taps;
}

inline std::uint8_t rounded(std::int32_t sum, int bits) {
    return static_cast<std::uint8_t>(std::clamp(sum >> bits, 0, 255));
}

inline Image across(const Image& source, const Taps& taps) {
    const int width = static_cast<int>(taps.first.size());
    Image result{width, source.height, Bytes(static_cast<std::size_t>(width) * source.height * 3)};
    for (int y = 0; y < source.height; ++y) {
        const std::uint8_t* row = &source.pixels[static_cast<std::size_t>(y) * source.width * 3];
        std::uint8_t* out = &result.pixels[static_cast<std::size_t>(y) * width * 3];
        for (int x = 0; x < width; ++x) {
            const std::uint8_t* in = row + taps.first[x] * 3;
            const std::int32_t* weight = &taps.weights[static_cast<std::size_t>(x) * taps.widest];
            std::int32_t red = 1 << (taps.bits - 1), green = red, blue = red;
            for (int k = 0; k < taps.count[x]; ++k, in += 3) {
                red += in[0] * weight[k];
                green += in[1] * weight[k];
                blue += in[2] * weight[k];
            }
            for (const std::int32_t sum : {red, green, blue}) *out++ = rounded(sum, taps.bits);
        }
    }
    return result;
}

inline Image down(const Image& source, const Taps& taps) {
    const int height = static_cast<int>(taps.first.size());
    const std::size_t row = static_cast<std::size_t>(source.width) * 3;
    Image result{source.width, height, Bytes(row * height)};
    std::vector<std::int32_t> sums(row);
    for (int y = 0; y < height; ++y) {
        std::fill(sums.begin(), sums.end(), 1 << (taps.bits - 1));
        for (int k = 0; k < taps.count[y]; ++k) {
            const std::int32_t weight = taps.weights[static_cast<std::size_t>(y) * taps.widest + k];
            const std::uint8_t* in = &source.pixels[(taps.first[y] + k) * row];
            for (std::size_t i = 0; i < row; ++i) sums[i] += in[i] * weight;
        }
        for (std::size_t i = 0; i < row; ++i) result.pixels[y * row + i] = rounded(sums[i], taps.bits);
    }
    return result;
}

// fast_image_resize begins with the rows, Pillow with the columns; the bytes between are rounded, so it matters.
inline Image resized(const Image& image, const Box& box, int width, int height, bool simd) {
    const Taps x = taps_of(image.width, box.left, box.right, width, simd);
    const Taps y = taps_of(image.height, box.top, box.bottom, height, simd);
    return simd ? across(down(image, y), x) : down(across(image, x), y);
}

// What decoding at a part of the size takes from fine detail, given back: a Laplacian. `scale`: of the last resizing.
inline Image restored(const Image& image, double scale) {
    const double angle = kPi * scale / 3;
    const float weight = static_cast<float>((angle / std::sin(angle) - 1) / 3), middle = 1 + 4 * weight;
    const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(image.width) * 3;
    Image result = image;
    for (int y = 1; y + 1 < image.height; ++y)
        for (std::ptrdiff_t i = y * row + 3; i < (y + 1) * row - 3; ++i) {
            const std::uint8_t* in = &image.pixels[i];
            const float sum = middle * in[0] - weight * (in[row] + in[-row] + in[3] + in[-3]);
            result.pixels[i] = static_cast<std::uint8_t>(std::clamp(sum + 0.5f, 0.0f, 255.0f));
        }
    return result;
}

// ---- Crops ---------------------------------------------------------------------------------------------------

// To the nearest integer, halves to the even one, as Python rounds (the default rounding mode does that).
inline int nearest(double value) { return static_cast<int>(std::nearbyint(value)); }

// By how much a JPEG's size is divided as it is decoded: 8, 4, 2 or 1.
inline int divisor(int width, int height, const Preprocessing& how) {
    for (const int part : {8, 4, 2})
        if (how.decoded_side && std::min(width, height) >= part * how.decoded_side) return part;
    return 1;
}

// uint8 [grid, crop, crop, 3]: a fixed grid on the photograph, which is shrunk to `short_side` first.
// part: what it fills of an image that was decoded at a part of its size.
inline Bytes crops(const Image& whole, const Preprocessing& how, std::optional<Box> part = {}) {
    Image image = whole;
    const Box box = part.value_or(Box{0, 0, whole.width * 1.0, whole.height * 1.0});
    const double scale = how.short_side / std::min(box.right - box.left, box.bottom - box.top);
    if (part || scale < 1) {
        const int width = nearest((box.right - box.left) * scale), height = nearest((box.bottom - box.top) * scale);
        image = resized(whole, box, width, height, part || how.simd);
        if (part) image = restored(image, scale);
    }
    std::vector<std::pair<double, double>> places{{0, 0}, {1, 0}, {0, 1}, {1, 1}, {0.5, 0.5}};
    if (how.grid == 1) places = {{0.5, 0.5}};
    if (how.grid == 9) {
        places.clear();
        for (int i = 0; i < 9; ++i) places.emplace_back(i % 3 / 2.0, i / 3 / 2.0);
    }
    const int side = std::min({how.crop, image.width, image.height});
    Bytes result;
    for (const auto& [x, y] : places) {
        const int left = nearest(x * (image.width - side)), top = nearest(y * (image.height - side));
        Image crop{side, side, {}};
        for (int line = top; line < top + side; ++line) {
            const auto start = image.pixels.begin() + (static_cast<std::ptrdiff_t>(line) * image.width + left) * 3;
            crop.pixels.insert(crop.pixels.end(), start, start + side * 3);
        }
        if (side < how.crop) crop = resized(crop, {0, 0, side * 1.0, side * 1.0}, how.crop, how.crop, false);
        result.insert(result.end(), crop.pixels.begin(), crop.pixels.end());
    }
    return result;
}

// ---- The model -----------------------------------------------------------------------------------------------

struct Result {
    double score;           // 0-100, higher is better
    double raw;             // 0-10, the mean over crops
    double spread;          // standard deviation of raw over the crops
    std::vector<float> map; // [grid, cells, cells]: its mean is raw
};

class Scorer {
public:
    // model: a model.onnx that `dgqa-infer export` wrote. threads: 0 for every core.
    explicit Scorer(const std::string& model, int threads = 0) : session_(opened(model, threads)) {
        const std::string says = metadata("preprocessing"), curve = metadata("calibration");
        if (says.find("\"filter\": \"bicubic\"") == std::string::npos)
            throw std::runtime_error(model + ": its filter is not bicubic; this example has no other");
        how_.short_side = static_cast<int>(numbers(says, "short_side").at(0));
        how_.crop = static_cast<int>(numbers(says, "crop").at(0));
        how_.grid = static_cast<int>(numbers(says, "grid").at(0));
        if (says.find("\"decoded_side\"") != std::string::npos)
            how_.decoded_side = static_cast<int>(numbers(says, "decoded_side").at(0));
        how_.simd = says.find("\"resizer\": \"fast_image_resize\"") != std::string::npos;
        raws_ = numbers(curve, "raw");
        scores_ = numbers(curve, "score");
        if (raws_.size() < 2 || raws_.size() != scores_.size()) throw std::runtime_error(model + ": no calibration");
    }

    const Preprocessing& preprocessing() const { return how_; }

    // rgb: uint8 [height, width, 3], sRGB, upright.
    Result score(const std::uint8_t* rgb, int width, int height) {
        return infer(crops({width, height, Bytes(rgb, rgb + static_cast<std::size_t>(width) * height * 3)}, how_));
    }

    // crops: uint8 [grid, crop, crop, 3].
    Result infer(Bytes crops) {
        const std::array<std::int64_t, 4> shape{how_.grid, how_.crop, how_.crop, 3};
        Ort::Value input = Ort::Value::CreateTensor<std::uint8_t>(memory_, crops.data(), crops.size(), shape.data(), 4);
        const char* in = "crops";
        const char* out[] = {"quality", "quality_map"};
        auto outputs = session_.Run(Ort::RunOptions{nullptr}, &in, &input, 1, out, 2);
        const float* quality = outputs[0].GetTensorData<float>();
        const float* cells = outputs[1].GetTensorData<float>();
        Result result{0, 0, 0, {cells, cells + outputs[1].GetTensorTypeAndShapeInfo().GetElementCount()}};
        for (int i = 0; i < how_.grid; ++i) result.raw += quality[i] / static_cast<double>(how_.grid);
        for (int i = 0; i < how_.grid; ++i) result.spread += std::pow(quality[i] - result.raw, 2) / how_.grid;
        result.spread = std::sqrt(result.spread);
        if (!std::isfinite(result.raw)) throw std::runtime_error("the model gave no finite number");
        result.score = calibrated(result.raw);
        return result;
    }

private:
    static Ort::Env& environment() {
        static Ort::Env env{ORT_LOGGING_LEVEL_WARNING, "dgqa"};
        return env;
    }

    static Ort::Session opened(const std::string& model, int threads) {
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(threads);
        return {environment(), std::basic_string<ORTCHAR_T>(model.begin(), model.end()).c_str(), options};
    }

    std::string metadata(const char* key) {
        Ort::AllocatorWithDefaultOptions allocator;
        auto value = session_.GetModelMetadata().LookupCustomMetadataMapAllocated(key, allocator);
        if (!value) throw std::runtime_error(std::string("the model lacks its ") + key + ": take dgqa-infer export's");
        return value.get();
    }

    // The number or numbers behind a key of one of our own flat JSON objects.
    static std::vector<double> numbers(const std::string& json, const std::string& key) {
        std::vector<double> found;
        const std::size_t at = json.find('"' + key + "\":");
        if (at == std::string::npos) throw std::runtime_error("the model's metadata has no " + key);
        const char* next = json.c_str() + at + key.size() + 3;
        while (*next == ' ' || *next == '[') ++next;
        for (char* end = nullptr;; next = end + 1) {
            found.push_back(std::strtod(next, &end));
            if (end == next) throw std::runtime_error("the model's metadata has no number for " + key);
            if (*end != ',' || std::string("-0123456789").find(end[2]) == std::string::npos) return found;
        }
    }

    // Linear between the knots, clipped at their ends.
    double calibrated(double raw) const {
        if (raw <= raws_.front()) return scores_.front();
        if (raw >= raws_.back()) return scores_.back();
        const std::size_t i = std::upper_bound(raws_.begin(), raws_.end(), raw) - raws_.begin();
        const double share = (raw - raws_[i - 1]) / (raws_[i] - raws_[i - 1]);
        return scores_[i - 1] + share * (scores_[i] - scores_[i - 1]);
    }

    Ort::Session session_;
    Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Preprocessing how_;
    std::vector<double> raws_, scores_;
};

}  // namespace dgqa
