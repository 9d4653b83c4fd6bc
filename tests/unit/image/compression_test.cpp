#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <zlib.h>
#include <zstd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "base/error.h"
#include "image/compress.h"
#include "image/inflate.h"

namespace jigsaw::image {
namespace {

std::string sample() {
  std::string text;
  for (int i = 0; i < 200'000; ++i) {
    text += std::to_string(i * 7919LL % 1'000'003);
  }
  return text;
}

Compressor::Read reader(const std::string& text) {
  return [&text, at = size_t{0}](std::span<char> space) mutable {
    const size_t length = std::min({space.size(), text.size() - at, size_t{70'001}});
    std::memcpy(space.data(), text.data() + at, length);
    at += length;
    return length;
  };
}

std::string compress(const std::string& text, Compression kind) {
  Compressor compressor(kind, reader(text));
  std::string result;
  std::vector<char> space(33'333);
  while (const size_t got = compressor.read(space)) {
    result.append(space.data(), got);
  }
  return result;
}

std::string inflate_by(GunzipMaker gunzip, std::string_view bytes, size_t step) {
  std::string result;
  Inflater inflater(gunzip, [&](std::string_view plain) { result += plain; });
  for (size_t at = 0; at < bytes.size(); at += step) {
    inflater.write(bytes.substr(at, step));
  }
  inflater.finish();
  return result;
}

// Both decoders of gzip give the same bytes, or both refuse.
std::string inflate(std::string_view bytes, size_t step) {
  std::optional<std::string> portable;
  try {
    portable = inflate_by(portable_gunzip, bytes, step);
  } catch (const Error&) {
    EXPECT_THROW(inflate_by(fast_gunzip, bytes, step), Error);
    throw;
  }
  EXPECT_EQ(inflate_by(fast_gunzip, bytes, step) == *portable, true);
  return *portable;
}

class EachKind : public testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(Compression, EachKind, testing::Values(Compression::kNone, Compression::kGzip, Compression::kZstd));

TEST_P(EachKind, GoesBothWaysInPiecesOfAnySize) {
  const std::string text = sample();
  const std::string packed = compress(text, GetParam());
  for (const size_t step : {size_t{1} << 20U, size_t{4096}, size_t{7}, size_t{1}}) {
    EXPECT_EQ(inflate(packed, step) == text, true) << step;
  }
}

TEST_P(EachKind, GivesTheSameBytesEachTime) {
  const std::string text = sample();
  EXPECT_EQ(compress(text, GetParam()), compress(text, GetParam()));
}

// Text, noise and what is between them are packed in different ways, all of them in one stream.
TEST_P(EachKind, ContentOfEachSortComesBack) {
  std::mt19937_64 random(5);
  std::string mixed;
  for (const unsigned bits : {64U, 2U, 8U, 5U, 0U}) {  // of eight bytes, so many bits differ
    for (size_t i = 0; i < (3U << 20U) / 8 + 1; ++i) {
      const uint64_t number = bits == 0 ? 0 : random() >> (64 - bits);
      mixed.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
  }
  const std::string packed = compress(mixed, GetParam());
  EXPECT_EQ(inflate(packed, 100'000) == mixed, true);
}

TEST(Gzip, IsNoLargerThanZlibsUsualLevel) {
  const std::string text = sample();
  std::string usual(::compressBound(text.size()), '\0');
  uLongf size = usual.size();
  ASSERT_EQ(::compress2(reinterpret_cast<Bytef*>(usual.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size(), 6), Z_OK);
  EXPECT_LE(compress(text, Compression::kGzip).size(), size);
}

// More streams at once than there are threads for all of them: each goes on with the one that it has.
TEST(Gzip, ManyStreamsAtOnceShareTheThreads) {
  const std::string text = sample();
  const std::string expected = compress(text, Compression::kGzip);
  std::vector<std::string> results(12);
  std::vector<std::thread> threads;
  for (std::string& result : results) {
    threads.emplace_back([&] { result = compress(text, Compression::kGzip); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_THAT(results, testing::Each(testing::Eq(expected)));
}

TEST_P(EachKind, PiecesOneAfterTheOtherAreOneStream) {
  const std::string text = sample();
  const std::string packed = compress(text, GetParam()) + compress("tail", GetParam());
  EXPECT_EQ(inflate(packed, 1000) == text + "tail", true);
}

TEST_P(EachKind, DamageIsNoticed) {
  if (GetParam() == Compression::kNone) {
    GTEST_SKIP() << "plain bytes have no checksum";
  }
  const std::string packed = compress(sample(), GetParam());
  EXPECT_THROW(inflate(packed.substr(0, packed.size() / 2), 4096), Error);
  EXPECT_THROW(inflate(packed.substr(0, packed.size() - 1), 4096), Error);
  EXPECT_THROW(inflate(packed + "trailing garbage", 4096), Error);
  for (size_t at = 20; at < packed.size(); at += packed.size() / 17) {
    std::string flipped = packed;
    flipped[at] = static_cast<char>(flipped[at] ^ 16);
    EXPECT_THROW(inflate(flipped, 4096), Error) << at;
  }
}

TEST(Inflate, HighlyCompressedInputComesOutInSmallPieces) {
  const std::string zeros(64U << 20U, '\0');
  for (const Compression kind : {Compression::kGzip, Compression::kZstd}) {
    const std::string packed = compress(zeros, kind);
    size_t largest = 0;
    size_t total = 0;
    Inflater inflater(fast_gunzip, [&](std::string_view plain) {
      largest = std::max(largest, plain.size());
      total += plain.size();
    });
    inflater.write(packed);
    inflater.finish();
    EXPECT_EQ(total, zeros.size());
    EXPECT_LE(largest, 256U << 10U);
  }
}

TEST(Inflate, WhatIsNoMemberBehindOneIsRefused) {
  const std::string packed = compress("text", Compression::kGzip);
  EXPECT_THROW(inflate(packed + std::string(100, '\0'), 4096), Error);
  EXPECT_THROW(inflate(packed + "\x1f", 4096), Error);
}

// RFC 1952, 2.3.1.2: "Reserved FLG bits must be zero"; in the first member and in later ones, in pieces of any size.
TEST(Inflate, ReservedFlagsOfGzipAreRefused) {
  const std::string packed = compress("text", Compression::kGzip);
  std::string odd = packed;
  for (const int bit : {0x20, 0x40, 0x80}) {
    odd[3] = static_cast<char>(bit);
    for (const size_t step : {size_t{4096}, size_t{5}, size_t{3}, size_t{1}}) {
      EXPECT_THROW(inflate(odd, step), Error) << bit << " " << step;
      EXPECT_THROW(inflate(packed + odd, step), Error) << bit << " " << step;
    }
  }
}

std::string zstd_with_window(const std::string& text, int window_log) {
  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, 1);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, window_log);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  while (in.pos < in.size) {  // so that the frame does not know how long it will be
    ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_continue);
  }
  EXPECT_EQ(ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_end), 0U);
  packed.resize(out.pos);
  return packed;
}

TEST(Inflate, FramesOfAnyWindowFollowOneAnother) {
  const std::string text = sample();
  std::string packed;
  std::string expected;
  for (const int log : {10, 27, 20, 23}) {
    packed += zstd_with_window(text, log) + std::string("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
    expected += text;
  }
  for (const size_t step : {size_t{1} << 20U, size_t{1000}, size_t{17}, size_t{1}}) {
    EXPECT_EQ(inflate(packed, step) == expected, true) << step;
  }
}

// Ten at once, whose windows are more than may be there together: they wait for each other, and none forever.
TEST(Inflate, LargeWindowsTakeTurns) {
  const std::string text = sample();
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (const int log : {27, 23, 23, 20, 26, 23, 23, 27, 10, 23}) {
    threads.emplace_back([&, packed = zstd_with_window(text, log)] { right += inflate_by(fast_gunzip, packed + packed, 50'000) == text + text ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(right, 10);
}

TEST(Inflate, AWindowOfMoreThan128MiBIsRefusedInWords) {
  std::string packed = zstd_with_window("text", 27);
  packed[5] = static_cast<char>((30 - 10) << 3);  // RFC 8878, 3.1.1.1.2: 1 GiB
  try {
    inflate(packed, 100);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("refers back over"));
  }
}

TEST(Inflate, OtherFormatsAreNamed) {
  EXPECT_THROW(inflate(std::string("\xfd" "7zXZ\0abc", 9), 100), Error);
  EXPECT_THROW(inflate("", 1), Error);
}

}  // namespace
}  // namespace jigsaw::image
