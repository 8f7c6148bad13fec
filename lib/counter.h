/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counter: names and meanings of the module's counters, enum flyrep_counter.
 */
#ifndef FR_COUNTER_H
#define FR_COUNTER_H

#include <stddef.h>

/* As commands, API and metrics call it: "ring_overflow"; NULL: a newer module's. */
const char *fr_counter_name(size_t counter);
/* A sentence for people, NULL likewise. */
const char *fr_counter_help(size_t counter);

#endif
