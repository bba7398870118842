// The crops that dgqa.hpp cuts of raw pixels: `crops RGB WIDTH HEIGHT SHORT_SIDE CROP GRID SIMD > CROPS`.
#include "dgqa.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>

int main(int, char** words) {
    std::ifstream stream(words[1], std::ios::binary);
    const dgqa::Image image{std::atoi(words[2]), std::atoi(words[3]), {std::istreambuf_iterator<char>(stream), {}}};
    dgqa::Preprocessing how;
    how.short_side = std::atoi(words[4]);
    how.crop = std::atoi(words[5]);
    how.grid = std::atoi(words[6]);
    how.simd = std::atoi(words[7]) != 0;
    const dgqa::Bytes found = dgqa::crops(image, how);
    return std::fwrite(found.data(), 1, found.size(), stdout) == found.size() ? 0 : 1;
}
