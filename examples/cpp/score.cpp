// Score JPEG photographs, and say how long it takes.
//
//     dgqa-score model.onnx photo.jpg ...
//     dgqa-score --repeat 50 model.onnx photo.jpg       # latency, to stderr
//
// One JSON object a photograph; exit code 1 if any could not be scored. Photographs in other colour spaces than
// sRGB should be converted first.
#include "dgqa.hpp"

#include <turbojpeg.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>

namespace {

// EXIF's orientation, 1-8, of a JPEG file; 1 where it says none.
int orientation_of(const dgqa::Bytes& file) {
    for (std::size_t at = 2; at + 4 <= file.size() && file[at] == 0xFF && file[at + 1] != 0xDA;) {
        const std::size_t end = std::min(at + 2 + file[at + 2] * 256 + file[at + 3], file.size());
        const std::uint8_t* segment = &file[at + 4];
        const std::size_t tiff = at + 10;
        if (file[at + 1] != 0xE1 || tiff + 8 > end || std::string(segment, segment + 4) != "Exif") {
            at = end;
            continue;
        }
        const bool big = file[tiff] == 'M';
        const auto number = [&](std::size_t place, int bytes) {
            std::size_t value = 0;
            for (int i = 0; i < bytes && place + bytes <= end; ++i)
                value = value << 8 | file[place + (big ? i : bytes - 1 - i)];
            return value;
        };
        const std::size_t directory = tiff + number(tiff + 4, 4);
        for (std::size_t i = 0; i < number(directory, 2); ++i) {
            const std::size_t entry = directory + 2 + 12 * i;
            const int value = static_cast<int>(number(entry + 8, 2));
            if (number(entry, 2) == 0x0112) return value >= 1 && value <= 8 ? value : 1;
        }
        return 1;
    }
    return 1;
}

bool is(int orientation, std::initializer_list<int> any) {
    return std::find(any.begin(), any.end(), orientation) != any.end();
}

dgqa::Image upright(const dgqa::Image& image, int orientation) {
    const bool sideways = orientation >= 5;
    dgqa::Image turned{sideways ? image.height : image.width, sideways ? image.width : image.height, image.pixels};
    for (int y = 0; y < turned.height && orientation > 1; ++y)
        for (int x = 0; x < turned.width; ++x) {
            int from_x = sideways ? y : x, from_y = sideways ? x : y;
            if (is(orientation, {2, 3, 7, 8})) from_x = image.width - 1 - from_x;
            if (is(orientation, {3, 4, 6, 7})) from_y = image.height - 1 - from_y;
            std::copy_n(&image.pixels[(static_cast<std::size_t>(from_y) * image.width + from_x) * 3], 3,
                        &turned.pixels[(static_cast<std::size_t>(y) * turned.width + x) * 3]);
        }
    return turned;
}

// A photograph, upright.
struct Photograph {
    dgqa::Image image;
    int width = 0, height = 0;      // before it was decoded at a part of its size
    std::optional<dgqa::Box> box;  // where it was
};

Photograph decoded(const std::string& path, const dgqa::Preprocessing& how) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw std::runtime_error("it cannot be read");
    const dgqa::Bytes file{std::istreambuf_iterator<char>(stream), {}};
    const std::unique_ptr<void, int (*)(tjhandle)> codec(tjInitDecompress(), tjDestroy);
    int width = 0, height = 0, subsampling = 0, colours = 0;
    const auto size = static_cast<unsigned long>(file.size());
    if (tjDecompressHeader3(codec.get(), file.data(), size, &width, &height, &subsampling, &colours) < 0)
        throw std::runtime_error(tjGetErrorStr2(codec.get()));
    if (static_cast<std::int64_t>(width) * height > 256'000'000)
        throw std::runtime_error("it has more than 256 megapixels");
    const int part = dgqa::divisor(width, height, how);
    dgqa::Image image{(width + part - 1) / part, (height + part - 1) / part, {}};
    image.pixels.resize(static_cast<std::size_t>(image.width) * image.height * 3);
    if (tjDecompress2(codec.get(), file.data(), size, image.pixels.data(), image.width, 0, image.height, TJPF_RGB,
                      TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING) < 0)
        throw std::runtime_error(tjGetErrorStr2(codec.get()));
    const int orientation = orientation_of(file);
    Photograph photo{upright(image, orientation), width, height, {}};
    if (orientation >= 5) std::swap(photo.width, photo.height);
    if (part > 1) {  // a part of a pixel at the right and lower edge is padding; these may now be the left and upper
        const double across = photo.width * 1.0 / part, down = photo.height * 1.0 / part;
        const double left = is(orientation, {2, 3, 6, 7}) ? photo.image.width - across : 0;
        const double top = is(orientation, {3, 4, 7, 8}) ? photo.image.height - down : 0;
        photo.box = dgqa::Box{left, top, left + across, top + down};
    }
    return photo;
}

// Text as a JSON string.
std::string quoted(const std::string& text) {
    std::string result = "\"";
    char escape[8];
    for (const unsigned char letter : text) {
        if (letter == '"' || letter == '\\') result += '\\';
        if (letter >= 0x20) result += static_cast<char>(letter);
        else std::snprintf(escape, sizeof escape, "\\u%04x", letter), result += escape;
    }
    return result + '"';
}

double percentile(std::vector<double> values, double share) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(share * (values.size() - 1) + 0.5)];
}

// How long the two steps of a frame take, in milliseconds, over so many rounds.
void tell_latency(dgqa::Scorer& scorer, const Photograph& photo, int rounds) {
    using Clock = std::chrono::steady_clock;
    std::vector<double> preparing, inferring, both;
    for (int i = 0; i < rounds; ++i) {
        const auto start = Clock::now();
        dgqa::Bytes crops = dgqa::crops(photo.image, scorer.preprocessing(), photo.box);
        const auto middle = Clock::now();
        scorer.infer(std::move(crops));
        const std::chrono::duration<double, std::milli> first = middle - start, second = Clock::now() - middle;
        preparing.push_back(first.count());
        inferring.push_back(second.count());
        both.push_back(first.count() + second.count());
    }
    std::fprintf(stderr, "{\"width\": %d, \"height\": %d, \"rounds\": %d, \"crops_ms\": %.2f, \"model_ms\": %.2f, "
                 "\"p50_ms\": %.2f, \"p99_ms\": %.2f}\n", photo.width, photo.height, rounds,
                 percentile(preparing, 0.5), percentile(inferring, 0.5), percentile(both, 0.5), percentile(both, 0.99));
}

}  // namespace

int main(int count, char** words) try {
    std::vector<std::string> arguments(words + 1, words + count);
    int rounds = 0;
    if (arguments.size() > 2 && arguments[0] == "--repeat") {
        rounds = std::atoi(arguments[1].c_str());
        arguments.erase(arguments.begin(), arguments.begin() + 2);
    }
    if (arguments.size() < 2 || rounds < 0) {
        std::fprintf(stderr, "usage: dgqa-score [--repeat ROUNDS] MODEL.onnx PHOTO.jpg ...\n");
        return 2;
    }
    dgqa::Scorer scorer(arguments[0]);
    int failed = 0;
    for (std::size_t i = 1; i < arguments.size(); ++i) try {
        const Photograph photo = decoded(arguments[i], scorer.preprocessing());
        const dgqa::Result result = scorer.infer(dgqa::crops(photo.image, scorer.preprocessing(), photo.box));
        std::printf("{\"path\": %s, \"score\": %.4f, \"raw\": %.6f, \"spread\": %.6f, \"width\": %d, \"height\": %d}\n",
                    quoted(arguments[i]).c_str(), result.score, result.raw, result.spread, photo.width, photo.height);
        if (rounds > 0) tell_latency(scorer, photo, rounds);
    } catch (const std::runtime_error& error) {
        std::fprintf(stderr, "%s: %s\n", arguments[i].c_str(), error.what());
        failed = 1;
    }
    return failed;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
