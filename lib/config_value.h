/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_value - one value of the file, checked against its row of the schema
 *
 * Part of config; nobody else includes it.
 */
#ifndef FR_CONFIG_VALUE_H
#define FR_CONFIG_VALUE_H

#include "arena.h"
#include "diag.h"
#include "hcl.h"
#include "schema.h"

/* What binding carries from key to key. */
struct fr_config_binder {
	struct fr_arena *arena;
	struct fr_diag *diag;
	bool is_partial; /* the text had faults, so what is missing may be in them */
};

/**
 * fr_config_value_bind() - check a value and store it
 * @row: of any type that holds no rows itself
 * @to: the field the row's type asks for, or NULL to check only
 *
 * Return: true, or false after reporting what is wrong with it.
 */
bool fr_config_value_bind(struct fr_config_binder *b,
			  const struct fr_schema *row,
			  const struct fr_hcl_value *value, void *to);

/**
 * fr_config_value_refuse() - report a valid value that this version does not implement
 *
 * Return: was it one.
 */
bool fr_config_value_refuse(struct fr_config_binder *b,
			    const struct fr_schema *row,
			    const struct fr_hcl_value *value);

/**
 * fr_config_value_wrong_type() - report "expected @wanted, found ..."
 *
 * Return: false.
 */
bool fr_config_value_wrong_type(struct fr_config_binder *b,
				const struct fr_schema *row,
				const struct fr_hcl_value *value,
				const char *wanted);

/**
 * fr_config_value_get_list() - is it a list, and of a length in the row's range
 */
bool fr_config_value_get_list(struct fr_config_binder *b,
			      const struct fr_schema *row,
			      const struct fr_hcl_value *value);

/**
 * fr_config_value_get_object() - is it { ... }
 */
bool fr_config_value_get_object(struct fr_config_binder *b,
				const struct fr_schema *row,
				const struct fr_hcl_value *value);

#endif
