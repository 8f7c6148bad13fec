/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expr - conditions on the records of one table
 *
 *   condition: conjunction { ( "||" | "or" ) conjunction }
 *   conjunction: negation { ( "&&" | "and" ) negation }
 *   negation: ( "!" | "not" ) negation | "(" condition ")" | test
 *   test: operand ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) operand
 *       | FIELD [ "not" ] "in" ( "[" literal { "," literal } "]" | literal )
 *       | FIELD [ "not" ] "matches" STRING | "matches" "(" FIELD "," STRING ")"
 *       | FIELD, of a boolean
 *   operand: FIELD | literal
 *   literal: STRING | number | duration | address | prefix | MAC | "true" | "false"
 *
 * A STRING is in single or double quotes, with the escapes \\ \' \". Fields are those of field.h.
 * One operand at least is a field, and its type is what the other must be: so a quoted text will
 * do for an address as well. Numbers alone have an order. "in" a prefix is being in that network;
 * "==" compares prefix and length. "matches" is a shell's pattern for all of a text (glob.h): *
 * goes over slashes and dots, too. Regular expressions are not known, as no bound on their cost is.
 *
 * A test of a field that a record does not have is false, whatever the test.
 *
 * A condition is compiled once. Evaluating it allocates nothing, goes through its tests at most
 * once, and takes a time that is bounded by its length times that of the longest field.
 */
#ifndef FR_EXPR_H
#define FR_EXPR_H

#include "field.h"

#define FR_EXPR_TEXT_MAX  4096 /* bytes of a condition */
#define FR_EXPR_DEPTH_MAX 32 /* parentheses and nots within each other */
#define FR_EXPR_TESTS_MAX 128
#define FR_EXPR_LISTS_MAX 512 /* literals, all lists together */

struct fr_expr;

/**
 * struct fr_expr_error - why a text is no condition
 * @column: in characters, from 1
 * @text: one line
 */
struct fr_expr_error {
	unsigned int column;
	char text[400];
};

/**
 * fr_expr_compile() - a condition on the records of a table
 * @table: enum flyrep_table, one with fields
 * @text: @len bytes; not referred to afterwards
 *
 * Return: for fr_expr_free(); NULL with *@error.
 */
struct fr_expr *fr_expr_compile(unsigned int table, const char *text, size_t len,
				struct fr_expr_error *error);
void fr_expr_free(struct fr_expr *e);

/* Reads a field; false: there is none. */
typedef bool fr_expr_get(void *cookie, const struct fr_field *f, struct fr_field_value *v);

/**
 * fr_expr_eval() - is it true
 * @get: where the fields are
 * @is_missing: set to true when a test came upon a field that is not there, else left alone
 */
bool fr_expr_eval(const struct fr_expr *e, fr_expr_get *get, void *cookie, bool *is_missing);

/* fr_expr_eval() of a record that passes its table's check and is no DELETE */
bool fr_expr_matches(const struct fr_expr *e, const void *rec, bool *is_missing);

/* Calls @fn once with each field that is read, in the order of the text. */
void fr_expr_fields(const struct fr_expr *e, void (*fn)(void *cookie, const struct fr_field *f),
		    void *cookie);

#endif
