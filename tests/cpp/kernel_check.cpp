// Every kernel of every instruction set, on odd sizes and special values, in exactly sized memory:
// the program for the address and undefined-behaviour sanitizers. It also compares the results with
// the naive formulas in long double; the error bounds proper are tested from Python.
#include "check.hpp"
#include "softgrad/dispatch.hpp"

namespace check {
namespace {

constexpr long sizes[] = {1,  2,  3,  5,  8,   15,  16,   17,   31,   32,   33,
                          47, 63, 64, 65, 100, 257, 1000, 4096, 4097, 8200, 20000};
constexpr long counts[] = {1, 2, 7, 16, 37, 64};

// Every place and number of rows for small rows; few of them where there is much to compute.
bool worth_checking(long classes, long rows, Place place, double temperature) {
  if (rows != 7 && temperature != 1) return false;
  if (classes < 300) return true;
  if (place == Place::backwards || rows == 2 || rows == 16) return false;
  return classes < 8000 || rows == 1 || temperature == 1;
}

template <class T>
struct Kernel {
  const softgrad::Kernels<T>& k;
  long rows, classes;
  Place place;
  double temperature;
  bool stream;
  std::mt19937& random;
  Scratch<T> scratch;
  Bundle<T> x, g, y;
  std::vector<Truth> truth;

  Kernel(const softgrad::Kernels<T>& kernels, long rows_, long classes_, Place place_,
         double temperature_, bool stream_, std::mt19937& random_)
      : k(kernels),
        rows(rows_),
        classes(classes_),
        place(place_),
        temperature(temperature_),
        stream(stream_),
        random(random_),
        scratch(classes, true),
        x(rows, classes, place),
        g(rows, classes, place),
        y(rows, classes, place) {
    fill_logits(x, random);
    fill_normal(g, random);
    for (long i = 0; i < rows; i++) truth.emplace_back(x, i, temperature);
  }
  const Truth& of(long i) const { return truth[std::size_t(i)]; }
  Real p(long i, long j) const { return of(i).p[std::size_t(j)]; }
  Real log_p(long i, long j) const { return of(i).log_p[std::size_t(j)]; }

  // More rows than every kernel takes.
  bool wide() const { return rows > softgrad::bundle_rows; }
  void normalize(softgrad::Output output, const Bundle<T>& to) {
    k.normalize(output, x.as_const(), to.rows(), classes, temperature, stream, scratch.data());
  }

  void check_values() {
    normalize(softgrad::Output::probability, y);
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++) close<T>("softmax", y.at(i, j), p(i, j), p(i, j), 3);
    normalize(softgrad::Output::log_probability, y);
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++)
        close<T>("log_softmax", y.at(i, j), log_p(i, j), log_p(i, j), 1.01);
    if (temperature != 1) return;
    Exactly<T> result{std::size_t(rows)};
    T* to[softgrad::wide_rows];
    for (long i = 0; i < rows; i++) to[i] = &result[std::size_t(i)];
    k.logsumexp(x.as_const(), to, classes, scratch.data());
    for (long i = 0; i < rows; i++) {
      const Real terms = std::max(std::abs(of(i).max), std::abs(of(i).logsumexp));
      close<T>("logsumexp", result[std::size_t(i)], of(i).logsumexp, terms, 1.01);
    }
  }

  void check_in_place() {
    normalize(softgrad::Output::probability, y);
    Bundle<T> copy(rows, classes, place);
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++) copy.at(i, j) = x.at(i, j);
    k.normalize(softgrad::Output::probability, copy.as_const(), copy.rows(), classes, temperature,
                false, scratch.data());
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++)
        close<T>("softmax in place", copy.at(i, j), y.at(i, j), 0, 0);
  }

  // From the logits, in place of the cotangent too, and where the algorithm has to give up.
  void check_products_of_logits() {
    if (wide()) return;
    Bundle<T> d(rows, classes, place);
    k.product_of_logits(x.as_const(), g.as_const(), d.rows(), classes, temperature, scratch.data());
    for (long i = 0; i < rows; i++) {
      Real pg = 0, size = 0;
      for (long j = 0; j < classes; j++)
        pg += p(i, j) * g.at(i, j), size += p(i, j) * std::abs(Real(g.at(i, j)));
      for (long j = 0; j < classes; j++) {
        const Real own = g.at(i, j), factor = p(i, j) / temperature;
        close<T>("product of logits", d.at(i, j), factor * (own - pg),
                 factor * (std::abs(own) + size), 1.01);
      }
    }
    Bundle<T> same(rows, classes, place);
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++) same.at(i, j) = g.at(i, j);
    k.product_of_logits(x.as_const(), same.as_const(), same.rows(), classes, temperature,
                        scratch.data());
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++)
        close<T>("product of logits in place", same.at(i, j), d.at(i, j), 0, 0);
    const T keep = x.at(0, 0);
    x.at(0, 0) = std::numeric_limits<T>::quiet_NaN();
    k.product_of_logits(x.as_const(), g.as_const(), same.rows(), classes, temperature,
                        scratch.data());
    x.at(0, 0) = keep;
    for (long j = 0; j < classes; j++)
      if (same.at(0, j) == same.at(0, j))
        fail("product of logits: NaN was lost", same.at(0, j), NAN);
    for (long i = 1; i < rows; i++)
      for (long j = 0; j < classes; j++)
        close<T>("product of logits beside NaN", same.at(i, j), d.at(i, j), 0, 0);
  }

  // log_softmax's product from the logits, in place of the cotangent too.
  void check_log_products_of_logits() {
    if (wide() || temperature != 1 || classes <= softgrad::tiny_classes ||
        classes > softgrad::block_classes)
      return;
    Bundle<T> d(rows, classes, place), same(rows, classes, place);
    k.log_product_of_logits(x.as_const(), g.as_const(), d.rows(), classes, scratch.data());
    for (long i = 0; i < rows; i++) {
      Real sum = 0, size = 0;
      for (long j = 0; j < classes; j++)
        sum += g.at(i, j), size += std::abs(Real(g.at(i, j))), same.at(i, j) = g.at(i, j);
      for (long j = 0; j < classes; j++) {
        const Real own = g.at(i, j);
        close<T>("log product of logits", d.at(i, j), own - p(i, j) * sum,
                 std::abs(own) + p(i, j) * size, 3);
      }
    }
    k.log_product_of_logits(x.as_const(), same.as_const(), same.rows(), classes, scratch.data());
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++)
        close<T>("log product of logits in place", same.at(i, j), d.at(i, j), 0, 0);
  }

  void check_products() {
    normalize(softgrad::Output::probability, y);
    Bundle<T> d(rows, classes, place);
    const double scale = 0.75;
    for (auto kind : {softgrad::Product::softmax_vjp, softgrad::Product::center,
                      softgrad::Product::log_softmax_vjp}) {
      if (wide() && kind == softgrad::Product::log_softmax_vjp) continue;
      k.product(kind, y.as_const(), g.as_const(), d.rows(), classes, scale, stream, scratch.data());
      for (long i = 0; i < rows; i++) {
        Real pg = 0, sum = 0, size = 0;
        for (long j = 0; j < classes; j++) {
          pg += Real(y.at(i, j)) * g.at(i, j), sum += g.at(i, j);
          size += std::abs(Real(g.at(i, j)));
        }
        for (long j = 0; j < classes; j++) {
          const Real own = g.at(i, j), share = y.at(i, j);
          const bool log = kind == softgrad::Product::log_softmax_vjp;
          const Real factor = kind == softgrad::Product::softmax_vjp ? share * scale : scale;
          const Real wanted = factor * (log ? own - share * sum : own - pg);
          close<T>("product", d.at(i, j), wanted, factor * (std::abs(own) + size), 4);
        }
      }
    }
    if (wide()) return;
    Exactly<T> result{std::size_t(rows)};
    T* to[softgrad::wide_rows];
    for (long i = 0; i < rows; i++) to[i] = &result[std::size_t(i)];
    k.dot(y.as_const(), g.as_const(), to, classes, scratch.data());
    for (long i = 0; i < rows; i++) {
      Real pg = 0, size = 0;
      for (long j = 0; j < classes; j++) {
        pg += Real(y.at(i, j)) * g.at(i, j);
        size += std::abs(Real(y.at(i, j)) * g.at(i, j));
      }
      close<T>("dot", result[std::size_t(i)], pg, size, 2);
    }
  }

  void check_losses() {
    const std::size_t n = std::size_t(rows);
    Exactly<std::int64_t> target(n);
    Exactly<double> factor(n), hi(n), lo(n);
    for (std::size_t i = 0; i < n; i++) {
      target[i] = i % 5 == 4 ? -1 : std::int64_t(random() % std::uint64_t(classes));
      factor[i] = 0.5 + double(i);
    }
    k.cross_entropy(x.as_const(), target.data(), factor.data(), hi.data(), lo.data(), &y.rows(),
                    classes, temperature, stream, scratch.data());
    check_loss("cross_entropy", target.data(), nullptr, {nullptr, 1.0, 0.0}, factor, hi, lo);
    k.cross_entropy(x.as_const(), target.data(), factor.data(), hi.data(), lo.data(), nullptr,
                    classes, temperature, stream, scratch.data());
    k.cross_entropy(x.as_const(), target.data(), factor.data(), nullptr, nullptr, &y.rows(),
                    classes, temperature, stream, scratch.data());
    check_loss("grad alone", target.data(), nullptr, {nullptr, 1.0, 0.0}, factor, hi, lo);

    if (wide()) return;
    Exactly<double> weight{std::size_t(classes)};
    for (std::size_t c = 0; c < weight.size(); c++) weight[c] = double(c % 4);
    const softgrad::DenseTarget smooth = {weight.data(), 0.9, 0.1 / double(classes)};
    k.cross_entropy_dense(x.as_const(), nullptr, target.data(), smooth, factor.data(), hi.data(),
                          lo.data(), &y.rows(), classes, temperature, scratch.data());
    check_loss("smoothed", target.data(), nullptr, smooth, factor, hi, lo);

    Bundle<T> soft(rows, classes, place);
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < classes; j++) {
        const bool none = j % 3 == 1 || std::isinf(x.at(i, j));
        soft.at(i, j) = none ? T(0) : T(double(random() % 100) / double(classes));
      }
    for (const softgrad::DenseTarget& how : {softgrad::DenseTarget{nullptr, 1.0, 0.0}, smooth}) {
      const auto rows_of_target = soft.as_const();
      k.cross_entropy_dense(x.as_const(), &rows_of_target, nullptr, how, factor.data(), hi.data(),
                            lo.data(), &y.rows(), classes, temperature, scratch.data());
      check_loss("soft", nullptr, &soft, how, factor, hi, lo);
      check_mass(soft, how);
      soft.at(rows - 1, classes - 1) = T(-1);
      const auto last = soft.as_const();
      if (k.target_mass(last.row[rows - 1], last.stride, classes, how, hi.data(), lo.data()))
        fail("mass accepted", 1, 0);
      soft.at(rows - 1, classes - 1) = T(0);
    }
  }

  void check_mass(const Bundle<T>& soft, const softgrad::DenseTarget& how) {
    const auto target = soft.as_const();
    for (long i = 0; i < rows; i++) {
      double hi, lo;
      if (!k.target_mass(target.row[i], target.stride, classes, how, &hi, &lo))
        fail("mass refused", 0, 1);
      Real mass = 0;
      for (long j = 0; j < classes; j++)
        mass += (how.keep * Real(soft.at(i, j)) + how.spread) *
                (how.class_weight ? how.class_weight[j] : 1);
      close<double>("mass", Real(hi) + lo, mass, mass, 2);
    }
  }

  void check_loss(const char* what, const std::int64_t* target, const Bundle<T>* soft,
                  const softgrad::DenseTarget& how, const Exactly<double>& factor,
                  const Exactly<double>& hi, const Exactly<double>& lo) {
    for (long i = 0; i < rows; i++) {
      const std::size_t row = std::size_t(i);
      if (target && target[i] < 0) {
        close<T>(what, Real(hi[row]) + lo[row], 0, 0, 0);
        for (long j = 0; j < classes; j++) close<T>(what, y.at(i, j), 0, 0, 0);
        continue;
      }
      const bool undefined = std::isnan(p(i, 0));
      Real loss = undefined ? Real(nan) : 0, mass = 0;
      auto share = [&](long j) {
        const Real raw = soft ? Real(soft->at(i, j)) : target[i] == j ? 1 : 0;
        return (how.keep * raw + how.spread) * (how.class_weight ? how.class_weight[j] : 1);
      };
      for (long j = 0; j < classes; j++) {
        mass += share(j);
        if (share(j) != 0) loss -= share(j) * log_p(i, j);
      }
      close<T>(what, Real(hi[row]) + lo[row], loss, loss, 1.5);
      for (long j = 0; j < classes; j++) {
        Real wanted = factor[row] * (p(i, j) * mass - share(j));
        // A probability below the smallest normal number is rounded as if it were that.
        const Real normal = std::max(p(i, j), Real(std::numeric_limits<T>::min()));
        Real terms = factor[row] * (normal * mass + share(j));
        close<T>(what, y.at(i, j), wanted, terms, 5);
      }
    }
  }
};

template <class T>
void check_rows_of(const softgrad::Kernels<T>& kernels, const std::string& name) {
  std::mt19937 random(1);
  for (long classes : sizes)
    for (Place place : places)
      for (long rows : counts) {
        const bool apart = place == Place::columns || place == Place::backwards;
        if (apart && rows > softgrad::Scratch<T>::packed_rows(classes)) continue;
        const bool tiled = place == Place::columns && classes > softgrad::tiny_classes &&
                           classes <= softgrad::block_classes &&
                           rows <= softgrad::Scratch<T>::tile_rows(classes);
        if (rows > softgrad::bundle_rows && !tiled) continue;
        for (double temperature : {1.0, 0.3}) {
          if (!worth_checking(classes, rows, place, temperature)) continue;
          context = name + " C=" + std::to_string(classes) + " rows=" + std::to_string(rows) +
                    " place=" + std::to_string(int(place)) + " T=" + std::to_string(temperature);
          Kernel<T> kernel(kernels, rows, classes, place, temperature, rows == 7, random);
          kernel.check_values();
          kernel.check_in_place();
          kernel.check_products();
          kernel.check_products_of_logits();
          kernel.check_log_products_of_logits();
          kernel.check_losses();
        }
      }
}

}  // namespace

void check_rows(const softgrad::KernelTable& table) {
  const std::string name = table.name;
  check_rows_of<float>(table.f32, name + " float");
  check_rows_of<double>(table.f64, name + " double");
}

}  // namespace check

int main() {
  for (const std::string& name : softgrad::available_instruction_sets()) {
    if (!softgrad::set_instruction_set(name)) check::fail("set_instruction_set", 0, 1);
    check::check_rows(softgrad::active_kernels());
    check::check_batches();
    check::check_activations(softgrad::active_kernels());
    check::check_losses();
    check::check_linear(softgrad::active_kernels());
    check::check_optimizers(softgrad::active_kernels());
    std::printf("%s checked\n", name.c_str());
  }
  if (softgrad::set_instruction_set("avx1024")) check::fail("unknown set accepted", 1, 0);
  if (check::failures) std::printf("%ld failures\n", check::failures);
  return check::failures ? 1 : 0;
}
