// The kernels of one instruction set; compiled once per set with SOFTGRAD_ISA naming it.
#include "softgrad/cross_entropy_dense.hpp"
#include "softgrad/log_products.hpp"
#include "softgrad/logsumexp.hpp"
#include "softgrad/products_of_logits.hpp"

#define SOFTGRAD_STRING2(a) #a
#define SOFTGRAD_STRING(a) SOFTGRAD_STRING2(a)

namespace softgrad::SOFTGRAD_ISA {

const LinearTable& linear_table();          // kernels_linear.cpp
const ActivationTable& activation_table();  // kernels_activations.cpp
const LossTable& loss_table();              // kernels_losses.cpp
const OptimizerTable& optimizer_table();    // kernels_optimizers.cpp

template <class T>
static constexpr Kernels<T> kernels() {
  return {normalize<T>,
          logsumexp<T>,
          cross_entropy<T>,
          cross_entropy_dense<T>,
          target_mass<T>,
          product<T>,
          product_of_logits<T>,
          log_product_of_logits<T>,
          dot<T>,
          block_sum<T>,
          careful_block_sum<T>,
          block_max<T>,
          join<T>,
          needs_care<T>,
          emit<T>,
          logsumexp_of_row<T>,
          at_target<T>,
          block_mean<T>,
          join_means<T>,
          write_product_block<T>,
          logit_moments<T>,
          join_moments<T>,
          logit_write<T>,
          block_totals<T>,
          join_totals<T>,
          write_log_product<T>,
          block_dot<T>,
          dense_sums<T>,
          join_dense<T>,
          dense_write<T>,
          pack_block<T>,
          unpack_block<T>};
}

const KernelTable& table() {
  static constexpr KernelTable t = {SOFTGRAD_STRING(SOFTGRAD_ISA),
                                    kernels<float>(),
                                    kernels<double>(),
                                    &linear_table,
                                    &activation_table,
                                    &loss_table,
                                    &optimizer_table};
  return t;
}

}  // namespace softgrad::SOFTGRAD_ISA
