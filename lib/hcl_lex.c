// SPDX-License-Identifier: GPL-2.0-or-later
#include "hcl_lex.h"

#include <errno.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_ident_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_ident(char c)
{
	return is_ident_start(c) || is_digit(c) || c == '-';
}

static char peek(const struct fr_hcl_lex *lex, size_t ahead)
{
	return ahead < (size_t)(lex->end - lex->p) ? lex->p[ahead] : '\0';
}

/* The only way forward: keeps line and column right. */
static void skip(struct fr_hcl_lex *lex, size_t n)
{
	for (; n && lex->p < lex->end; n--, lex->p++) {
		if (*lex->p == '\n') {
			lex->pos.line++;
			lex->pos.column = 1;
		} else if (((unsigned char)*lex->p & 0xc0) != 0x80) {
			lex->pos.column++;
		}
	}
}

/* Length of the UTF-8 sequence at p; 0 when it is not one (RFC 3629). */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	size_t len, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > left)
		return 0;
	for (i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates and what lies beyond U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

int fr_hcl_lex_init(struct fr_hcl_lex *lex, const char *text, size_t len,
		    struct fr_arena *arena, struct fr_diag *diag)
{
	*lex = (struct fr_hcl_lex){ .p = text,
				    .end = text + len,
				    .pos = { 1, 1 },
				    .arena = arena,
				    .diag = diag };
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		fr_diag_error(
			diag, lex->pos,
			"the file starts with a byte order mark: remove it");
		return -EINVAL;
	}
	while (lex->p < lex->end) {
		size_t n = utf8_len((const unsigned char *)lex->p,
				    (size_t)(lex->end - lex->p));

		if (!n || !*lex->p) {
			fr_diag_error(
				diag, lex->pos,
				n ? "NUL byte: this is not a text file" :
				    "invalid UTF-8: save the file as UTF-8");
			return -EINVAL;
		}
		skip(lex, n);
	}
	lex->p = text;
	lex->pos = (struct fr_diag_pos){ 1, 1 };
	return 0;
}

static void set_text(struct fr_hcl_lex *lex, struct fr_hcl_token *token,
		     const char *s, size_t len)
{
	token->text = fr_arena_strndup(lex->arena, s, len);
	token->len = len;
	if (!token->text) {
		token->kind = FR_HCL_T_EOF;
		lex->is_out_of_memory = true;
	}
}

static void skip_block_comment(struct fr_hcl_lex *lex)
{
	struct fr_diag_pos start = lex->pos;

	skip(lex, 2);
	while (lex->p < lex->end) {
		if (peek(lex, 0) == '*' && peek(lex, 1) == '/') {
			skip(lex, 2);
			return;
		}
		skip(lex, 1);
	}
	fr_diag_error(lex->diag, start, "this comment is never closed");
}

/* Spaces and comments; stops at a newline, which is a token. */
static void skip_blank(struct fr_hcl_lex *lex)
{
	for (;;) {
		char c = peek(lex, 0);

		if (c == ' ' || c == '\t' ||
		    (c == '\r' && peek(lex, 1) == '\n'))
			skip(lex, 1);
		else if (c == '#' || (c == '/' && peek(lex, 1) == '/'))
			while (lex->p < lex->end && *lex->p != '\n')
				skip(lex, 1);
		else if (c == '/' && peek(lex, 1) == '*')
			skip_block_comment(lex);
		else
			return;
	}
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* At the backslash. Returns the bytes written, never more than were read. */
static size_t lex_escape(struct fr_hcl_lex *lex, char *out)
{
	static const char from[] = "ntr\"\\", to[] = "\n\t\r\"\\";
	struct fr_diag_pos start = lex->pos;
	char c = peek(lex, 1);
	const char *simple = c ? strchr(from, c) : NULL;
	size_t n_digits, i;
	uint32_t code = 0;

	if (simple) {
		skip(lex, 2);
		*out = to[simple - from];
		return 1;
	}
	if (c != 'u' && c != 'U') {
		fr_diag_error(
			lex->diag, start,
			"unknown escape: only \\n \\t \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX exist");
		skip(lex, 1);
		return 0;
	}
	n_digits = c == 'u' ? 4 : 8;
	skip(lex, 2);
	for (i = 0; i < n_digits; i++) {
		int digit = hex_value(peek(lex, 0));

		if (digit < 0) {
			fr_diag_error(lex->diag, start,
				      "\\%c needs %zu hexadecimal digits", c,
				      n_digits);
			return 0;
		}
		code = code << 4 | (uint32_t)digit;
		skip(lex, 1);
	}
	if (!code || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
		fr_diag_error(
			lex->diag, start,
			"\\%c%0*X is not a character that can be used here", c,
			(int)n_digits, code);
		return 0;
	}
	return put_utf8(out, code);
}

/* At "$" or "%": the doubled form stands for itself, the single one is an error. */
static size_t lex_template(struct fr_hcl_lex *lex, char *out)
{
	char c = peek(lex, 0);

	if (peek(lex, 1) == c && peek(lex, 2) == '{') {
		skip(lex, 3);
		out[0] = c;
		out[1] = '{';
		return 2;
	}
	if (peek(lex, 1) == '{')
		fr_diag_error(
			lex->diag, lex->pos,
			"templates are not supported: write \"%c%c{\" for a literal \"%c{\"",
			c, c, c);
	skip(lex, 1);
	out[0] = c;
	return 1;
}

static size_t lex_plain(struct fr_hcl_lex *lex, char *out)
{
	*out = *lex->p;
	skip(lex, 1);
	return 1;
}

/* From the opening quote up to the closing one, or to the end of the line. */
static size_t raw_string_len(const struct fr_hcl_lex *lex)
{
	size_t len = 1;

	while (peek(lex, len) && peek(lex, len) != '\n' &&
	       peek(lex, len) != '"')
		len += peek(lex, len) == '\\' &&
				       strchr("\"\\", peek(lex, len + 1)) ?
			       2 :
			       1;
	return len;
}

static struct fr_hcl_token lex_string(struct fr_hcl_lex *lex)
{
	struct fr_hcl_token token = { .kind = FR_HCL_T_STRING,
				      .pos = lex->pos };
	char *out;

	/* Decoding never makes it longer. */
	out = fr_arena_alloc(lex->arena, raw_string_len(lex));
	if (!out) {
		lex->is_out_of_memory = true;
		token.kind = FR_HCL_T_EOF;
		return token;
	}
	token.text = out;
	skip(lex, 1);
	for (;;) {
		char c = peek(lex, 0);

		if (!c || c == '\n' || (c == '\r' && peek(lex, 1) == '\n')) {
			fr_diag_error(
				lex->diag, token.pos,
				"this string has no closing quote on its line");
			token.kind = FR_HCL_T_BROKEN;
			return token;
		}
		if (c == '"')
			break;
		if (c == '\\')
			token.len += lex_escape(lex, out + token.len);
		else if (c == '$' || c == '%')
			token.len += lex_template(lex, out + token.len);
		else
			token.len += lex_plain(lex, out + token.len);
	}
	skip(lex, 1);
	return token;
}

struct heredoc {
	const char *marker;
	size_t marker_len;
	bool is_indented; /* <<- */
};

static size_t line_len(const char *p, const char *end)
{
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	return newline ? (size_t)(newline - p) : (size_t)(end - p);
}

static size_t indent_of(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && (p[n] == ' ' || p[n] == '\t'))
		n++;
	return n;
}

static bool is_marker_line(const struct heredoc *doc, const char *p, size_t len)
{
	size_t indent = indent_of(p, len);

	if (len > indent && p[len - 1] == '\r')
		len--;
	return len - indent == doc->marker_len &&
	       !memcmp(p + indent, doc->marker, doc->marker_len);
}

/*
 * Finds the line of the closing marker, and on the way the indentation that
 * all lines (the marker's too) have in common.
 */
static const char *heredoc_end(const struct fr_hcl_lex *lex,
			       const struct heredoc *doc, size_t *common)
{
	const char *p = lex->p;

	*common = SIZE_MAX;
	while (p < lex->end) {
		size_t len = line_len(p, lex->end);
		size_t indent = indent_of(p, len);

		if (indent < len && p[indent] != '\r' && indent < *common)
			*common = indent;
		if (is_marker_line(doc, p, len))
			return p;
		p += len;
		if (p < lex->end)
			p++;
	}
	return NULL;
}

static void lex_heredoc_body(struct fr_hcl_lex *lex, const char *end,
			     size_t indent, struct fr_hcl_token *token)
{
	while (lex->p < end) {
		size_t len = line_len(lex->p, end);
		size_t blank = indent_of(lex->p, len);
		const char *line_end;

		skip(lex, blank < indent ? blank : indent);
		line_end = lex->p + line_len(lex->p, end);
		while (lex->p < line_end) {
			char *out = token->text + token->len;

			if (*lex->p == '$' || *lex->p == '%')
				token->len += lex_template(lex, out);
			else
				token->len += lex_plain(lex, out);
		}
		if (lex->p < end)
			token->len += lex_plain(lex, token->text + token->len);
	}
}

static struct fr_hcl_token lex_heredoc(struct fr_hcl_lex *lex)
{
	struct fr_hcl_token token = { .kind = FR_HCL_T_STRING,
				      .pos = lex->pos };
	struct heredoc doc = { 0 };
	const char *end;
	size_t common;

	skip(lex, 2);
	if (peek(lex, 0) == '-') {
		doc.is_indented = true;
		skip(lex, 1);
	}
	doc.marker = lex->p;
	if (is_ident_start(peek(lex, 0)))
		while (is_ident(peek(lex, 0)))
			skip(lex, 1);
	doc.marker_len = (size_t)(lex->p - doc.marker);
	if (peek(lex, 0) == '\r')
		skip(lex, 1);
	if (!doc.marker_len || peek(lex, 0) != '\n') {
		fr_diag_error(
			lex->diag, token.pos,
			"a heredoc starts with << or <<-, a name and the end of the line");
		token.kind = FR_HCL_T_BROKEN;
		return token;
	}
	skip(lex, 1);
	end = heredoc_end(lex, &doc, &common);
	if (!end) {
		fr_diag_error(
			lex->diag, token.pos,
			"no line closes this heredoc: \"%.*s\" is missing",
			(int)doc.marker_len, doc.marker);
		skip(lex, (size_t)(lex->end - lex->p));
		token.kind = FR_HCL_T_BROKEN;
		return token;
	}
	token.text = fr_arena_alloc(lex->arena, (size_t)(end - lex->p) + 1);
	if (!token.text) {
		lex->is_out_of_memory = true;
		token.kind = FR_HCL_T_EOF;
		return token;
	}
	lex_heredoc_body(lex, end, doc.is_indented ? common : 0, &token);
	skip(lex, line_len(end, lex->end));
	return token;
}

/* What follows a number and shows that it was meant to be something else. */
static bool is_number_tail(const struct fr_hcl_lex *lex)
{
	char c = peek(lex, 0);

	if (c == '/')
		return peek(lex, 1) != '/' && peek(lex, 1) != '*';
	return is_ident(c) || c == '.' || c == ':';
}

static struct fr_hcl_token lex_number(struct fr_hcl_lex *lex)
{
	struct fr_hcl_token token = { .kind = FR_HCL_T_NUMBER,
				      .pos = lex->pos };
	const char *start = lex->p;

	while (is_digit(peek(lex, 0)))
		skip(lex, 1);
	if (peek(lex, 0) == '.' && is_digit(peek(lex, 1))) {
		skip(lex, 1);
		while (is_digit(peek(lex, 0)))
			skip(lex, 1);
	}
	if ((peek(lex, 0) | 0x20) == 'e') {
		size_t sign = peek(lex, 1) == '+' || peek(lex, 1) == '-';

		if (is_digit(peek(lex, 1 + sign))) {
			skip(lex, 1 + sign);
			while (is_digit(peek(lex, 0)))
				skip(lex, 1);
		}
	}
	if (is_number_tail(lex)) {
		while (is_number_tail(lex))
			skip(lex, 1);
		fr_diag_error(
			lex->diag, token.pos,
			"%.*s is not a number: quote durations, sizes and addresses: \"%.*s\"",
			(int)(lex->p - start), start, (int)(lex->p - start),
			start);
		token.kind = FR_HCL_T_BROKEN;
		return token;
	}
	set_text(lex, &token, start, (size_t)(lex->p - start));
	return token;
}

static struct fr_hcl_token lex_ident(struct fr_hcl_lex *lex)
{
	struct fr_hcl_token token = { .kind = FR_HCL_T_IDENT, .pos = lex->pos };
	const char *start = lex->p;

	while (is_ident(peek(lex, 0)))
		skip(lex, 1);
	set_text(lex, &token, start, (size_t)(lex->p - start));
	return token;
}

static struct fr_hcl_token lex_stray(struct fr_hcl_lex *lex)
{
	struct fr_hcl_token token = { .kind = FR_HCL_T_STRAY, .pos = lex->pos };
	const char *start = lex->p;

	skip(lex, utf8_len((const unsigned char *)start,
			   (size_t)(lex->end - start)));
	if (*start == '\'')
		fr_diag_error(lex->diag, token.pos,
			      "use double quotes: \"...\"");
	else if ((unsigned char)*start < 0x20 || *start == 0x7f)
		fr_diag_error(lex->diag, token.pos, "control character 0x%02x",
			      (unsigned char)*start);
	else
		fr_diag_error(lex->diag, token.pos,
			      "\"%.*s\" has no meaning here",
			      (int)(lex->p - start), start);
	return token;
}

struct fr_hcl_token fr_hcl_lex_next(struct fr_hcl_lex *lex)
{
	struct fr_hcl_token token = { 0 };
	char c;

	skip_blank(lex);
	token.pos = lex->pos;
	if (lex->p == lex->end || lex->is_out_of_memory)
		return token;
	c = *lex->p;
	if (strchr("\n{}[]=:,-", c)) {
		token.kind = c;
		skip(lex, 1);
		return token;
	}
	if (c == '"')
		return lex_string(lex);
	if (c == '<' && peek(lex, 1) == '<')
		return lex_heredoc(lex);
	if (is_digit(c))
		return lex_number(lex);
	if (is_ident_start(c))
		return lex_ident(lex);
	return lex_stray(lex);
}
