/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events - what happened, for people
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <jansson.h>

#include "cli.h"

/**
 * events_print() - a line for each of an array of events
 */
void events_print(const struct cli *cli, const json_t *events);

#endif
