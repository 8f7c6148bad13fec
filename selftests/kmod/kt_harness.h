/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's test harness, with patience: an emulated guest on a busy host is slow, and a debug
 * kernel in it five times slower. What really hangs is ended by the suite's own deadline.
 */
#ifndef KT_HARNESS_H
#define KT_HARNESS_H

#include <kselftest_harness.h>

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600

#endif
