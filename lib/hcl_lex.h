/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hcl_lex - the tokens of HCL; only hcl.c wants them
 */
#ifndef FR_HCL_LEX_H
#define FR_HCL_LEX_H

#include "arena.h"
#include "diag.h"

#include <stddef.h>
#include <stdint.h>

/* Punctuation is its own character. */
enum fr_hcl_token_kind {
	FR_HCL_T_EOF = 0,
	FR_HCL_T_NEWLINE = '\n',
	FR_HCL_T_IDENT = 256,
	FR_HCL_T_NUMBER,
	FR_HCL_T_STRING,
	FR_HCL_T_BROKEN, /* a value that was reported as faulty */
	FR_HCL_T_STRAY, /* a character that was reported as meaningless */
};

struct fr_hcl_token {
	int kind; /* enum fr_hcl_token_kind or a character of "{}[]=:,-" */
	struct fr_diag_pos pos;
	char *text; /* IDENT, NUMBER and STRING (decoded), in the arena */
	size_t len;
};

struct fr_hcl_lex {
	const char *p;
	const char *end;
	struct fr_diag_pos pos; /* of p */
	struct fr_arena *arena;
	struct fr_diag *diag;
	bool is_out_of_memory;
};

/**
 * fr_hcl_lex_init() - start at the beginning of @text
 *
 * Return: 0, or -EINVAL after reporting a NUL byte, a byte order mark or
 * invalid UTF-8: nothing of such a text is read.
 */
int fr_hcl_lex_init(struct fr_hcl_lex *lex, const char *text, size_t len,
		    struct fr_arena *arena, struct fr_diag *diag);

/**
 * fr_hcl_lex_next() - the next token; FR_HCL_T_EOF for ever at the end
 *
 * Faults inside a token are reported here, and a token comes out all the same.
 */
struct fr_hcl_token fr_hcl_lex_next(struct fr_hcl_lex *lex);

#endif
