/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zone - which records belong to the zones that the configuration names
 *
 * A lease belongs to the zone that its field "zone" names, whether there is a zone "NAME" { } of
 * that name or not; without one, to every zone with its interface or its address. A flow belongs to
 * every zone with one of its four addresses (both directions, so before and after NAT), its
 * conntrack zone, or its mark. Records of other tables belong to none.
 */
#ifndef FR_ZONE_H
#define FR_ZONE_H

#include "config.h"

/**
 * fr_zone_admits() - may it be shipped, as far as filters.zones goes
 * @table: enum flyrep_table
 * @rec: passes the check of its table, and is no DELETE
 *
 * Return: true if nothing is listed, if it belongs to a zone that is, or to none at all.
 */
bool fr_zone_admits(const struct fr_config *config, unsigned int table, const void *rec);

#endif
