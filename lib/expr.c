// SPDX-License-Identifier: GPL-2.0-or-later
#include "expr.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glob.h"
#include "nearest.h"

#define CODE_MAX (4 * FR_EXPR_TESTS_MAX)
#define POOL_MAX (FR_EXPR_TEXT_MAX + 20 * (FR_EXPR_TESTS_MAX + FR_EXPR_LISTS_MAX))

enum test_op {
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_IN,
	OP_NOT_IN,
	OP_MATCHES,
	OP_NOT_MATCHES,
	OP_TRUE, /* of a boolean */
};

/* A field against another one, or against literals */
struct test {
	uint8_t op;
	bool has_other;
	struct fr_field field;
	struct fr_field other;
	uint16_t first, n; /* literals */
};

/* The condition as steps over its last result; jumps go forward only. */
enum step_type {
	STEP_TEST,
	STEP_NOT,
	STEP_SKIP_IF_FALSE,
	STEP_SKIP_IF_TRUE,
};

struct step {
	uint16_t type;
	uint16_t to; /* TEST: which; SKIP: the step to go on with */
};

struct fr_expr {
	unsigned int table;
	size_t n_steps, n_tests, n_literals, pool_len;
	struct step steps[CODE_MAX];
	struct test tests[FR_EXPR_TESTS_MAX];
	struct fr_field_value literals[FR_EXPR_TESTS_MAX + FR_EXPR_LISTS_MAX];
	uint8_t pool[POOL_MAX]; /* what literals point to */
};

static_assert(CODE_MAX <= UINT16_MAX, "a step does not fit");

/* --- words -------------------------------------------------------------- */

enum token_type {
	TOKEN_END,
	TOKEN_WORD, /* letters, digits and what addresses have between them */
	TOKEN_STRING, /* with its quotes */
	TOKEN_SIGN, /* up to two other characters */
};

struct token {
	enum token_type type;
	const char *pos;
	size_t len;
};

struct parser {
	struct fr_expr *e;
	const char *text, *end;
	struct token token; /* the next one */
	unsigned int depth;
	struct fr_expr_error *error;
	bool is_bad;
	char string[FR_EXPR_TEXT_MAX]; /* the last one without quotes and escapes */
};

/* One operand, before its type is known */
struct operand {
	struct token token;
	bool is_field;
	struct fr_field field;
};

/* Always false. The first fault is told. */
static bool fail(struct parser *p, const char *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool fail(struct parser *p, const char *at, const char *fmt, ...)
{
	const char *c;
	va_list args;

	if (p->is_bad)
		return false;
	p->is_bad = true;
	p->token.type = TOKEN_END;
	p->error->column = 1;
	for (c = p->text; c < at; c++)
		p->error->column += (*c & 0xc0) != 0x80;
	va_start(args, fmt);
	vsnprintf(p->error->text, sizeof(p->error->text), fmt, args);
	va_end(args);
	return false;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == ':' || c == '/';
}

static void next(struct parser *p)
{
	const char *pos = p->token.pos + p->token.len;
	size_t len = 1;

	while (pos < p->end && isspace((unsigned char)*pos))
		pos++;
	p->token = (struct token){ TOKEN_END, pos, 0 };
	if (pos == p->end || p->is_bad)
		return;
	if (is_word(*pos)) {
		p->token.type = TOKEN_WORD;
		while (pos + len < p->end && is_word(pos[len]))
			len++;
	} else if (*pos == '\'' || *pos == '"') {
		p->token.type = TOKEN_STRING;
		while (pos + len < p->end && pos[len] != *pos)
			len += pos[len] == '\\' ? 2 : 1;
		if (pos + len++ >= p->end) {
			fail(p, pos, "this text is never closed");
			return;
		}
	} else {
		p->token.type = TOKEN_SIGN;
		if (pos + 1 < p->end && (pos[1] == '=' || (pos[1] == *pos && strchr("&|", *pos))))
			len = 2;
	}
	p->token.len = len;
}

static bool is_token(const struct parser *p, const char *text)
{
	return (p->token.type == TOKEN_WORD || p->token.type == TOKEN_SIGN) &&
	       p->token.len == strlen(text) && !memcmp(p->token.pos, text, p->token.len);
}

/* The next token, if it is this one */
static bool accept(struct parser *p, const char *text)
{
	if (!is_token(p, text))
		return false;
	next(p);
	return true;
}

static bool expect(struct parser *p, const char *text, const char *where)
{
	if (accept(p, text))
		return true;
	if (p->token.type == TOKEN_END)
		return fail(p, p->token.pos, "it ends where \"%s\" is expected %s", text, where);
	return fail(p, p->token.pos, "\"%s\" expected %s, not \"%.*s\"", text, where,
		    (int)(p->token.len < 40 ? p->token.len : 40), p->token.pos);
}

/* A string as it is meant; *@len bytes of p->string. */
static bool unquote(struct parser *p, const struct token *t, size_t *len)
{
	const char *c = t->pos + 1, *end = t->pos + t->len - 1;

	for (*len = 0; c < end; c++) {
		if (*c == '\\' && c + 1 < end && !strchr("\\'\"", c[1]))
			return fail(p, c, "no such escape: there are \\\\ \\' \\\"");
		c += *c == '\\';
		p->string[(*len)++] = *c;
	}
	return true;
}

/* --- code --------------------------------------------------------------- */

static bool emit(struct parser *p, enum step_type type, size_t to)
{
	struct fr_expr *e = p->e;

	if (e->n_steps == CODE_MAX)
		return fail(p, p->token.pos, "too long");
	e->steps[e->n_steps++] = (struct step){ (uint16_t)type, (uint16_t)to };
	return true;
}

static struct test *add_test(struct parser *p, enum test_op op, const struct fr_field *f)
{
	struct fr_expr *e = p->e;
	struct test *t = &e->tests[e->n_tests];

	if (e->n_tests == FR_EXPR_TESTS_MAX) {
		fail(p, p->token.pos, "more than %d tests", FR_EXPR_TESTS_MAX);
		return NULL;
	}
	if (!emit(p, STEP_TEST, e->n_tests))
		return NULL;
	e->n_tests++;
	*t = (struct test){ .op = (uint8_t)op, .field = *f, .first = (uint16_t)e->n_literals };
	return t;
}

/* Which names a field can have, as far as they fit */
static const char *names_of(const struct fr_field *f, char *buf, size_t len)
{
	size_t i, at = 0;

	buf[0] = '\0';
	for (i = 0; i < f->n_names && at < len; i++)
		if (f->names[i])
			at += (size_t)snprintf(buf + at, len - at, "%s%s", at ? ", " : ": ",
					       f->names[i]);
	return buf;
}

/* May a literal so written stand beside a field? Quotes are for what is no number. */
static bool is_kind(struct parser *p, const struct token *t, const struct fr_field *f)
{
	bool is_quoted = t->type == TOKEN_STRING;

	if (f->type == FR_FIELD_TEXT && !is_quoted)
		return fail(p, t->pos, "%s is text: put quotes around what it is compared with",
			    f->name);
	if ((f->type == FR_FIELD_NUMBER || f->type == FR_FIELD_BOOL) && is_quoted)
		return fail(p, t->pos, "%s is %s, and this is text", f->name,
			    fr_field_type_name(f));
	return true;
}

/* Turn a literal into a value of the field's type, behind the others of its test. */
static bool add_literal(struct parser *p, const struct token *t, struct test *test)
{
	struct fr_expr *e = p->e;
	struct fr_field_value *v = &e->literals[e->n_literals];
	uint8_t *room = e->pool + e->pool_len;
	const char *text = t->pos, *why;
	size_t len = t->len;
	char names[160];

	if (e->n_literals == sizeof(e->literals) / sizeof(e->literals[0]))
		return fail(p, t->pos, "more than %d literals", FR_EXPR_LISTS_MAX);
	if (!is_kind(p, t, &test->field))
		return false;
	if (t->type == TOKEN_STRING) {
		if (!unquote(p, t, &len))
			return false;
		text = p->string;
	}
	if (fr_field_parse(&test->field, text, len, room, v, &why))
		return fail(p, t->pos, "%s: \"%.*s\": %s%s", test->field.name,
			    (int)(len < 40 ? len : 40), text, why,
			    names_of(&test->field, names, sizeof(names)));
	if (v->bytes && v->bytes != room)
		v->bytes = memcpy(room, v->bytes, v->len);
	e->pool_len += v->len;
	e->n_literals++;
	test->n++;
	return true;
}

/* --- grammar ------------------------------------------------------------ */

static bool is_literal_word(const struct token *t)
{
	size_t i;

	if (isdigit((unsigned char)t->pos[0]))
		return true;
	for (i = 0; i < t->len; i++)
		if (strchr(".:/", t->pos[i]))
			return true;
	return (t->len == 4 && !memcmp(t->pos, "true", 4)) ||
	       (t->len == 5 && !memcmp(t->pos, "false", 5));
}

static bool unknown_field(struct parser *p, const struct token *t)
{
	char name[64], known[320] = "";
	struct fr_nearest near;
	struct fr_field f;
	unsigned int i;
	size_t at = 0;

	snprintf(name, sizeof(name), "%.*s", (int)t->len, t->pos);
	fr_nearest_init(&near, name);
	for (i = 0; fr_field_at(p->e->table, i, &f); i++) {
		fr_nearest_offer(&near, f.name);
		if (at < sizeof(known))
			at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
					       at ? ", " : "", f.name);
	}
	if (near.best)
		return fail(p, t->pos, "no field \"%s\": did you mean \"%s\"? Text is quoted",
			    name, near.best);
	return fail(p, t->pos, "no field \"%s\": there are %s", name, known);
}

static bool parse_operand(struct parser *p, struct operand *o)
{
	const struct token *t = &p->token;

	*o = (struct operand){ .token = *t };
	if (t->type == TOKEN_END)
		return fail(p, t->pos, "it ends where a field or a value is expected");
	if (t->type == TOKEN_SIGN)
		return fail(p, t->pos, "a field or a value expected, not \"%.*s\"", (int)t->len,
			    t->pos);
	if (t->type == TOKEN_WORD && !is_literal_word(t)) {
		o->is_field = true;
		if (!fr_field_find(p->e->table, t->pos, t->len, &o->field))
			return unknown_field(p, t);
	}
	next(p);
	return !p->is_bad;
}

static bool is_same_type(const struct fr_field *a, const struct fr_field *b)
{
	return a->type == b->type && a->unit_ns == b->unit_ns && a->names == b->names;
}

static bool parse_comparison(struct parser *p, struct operand *left, enum test_op op)
{
	static const uint8_t mirrored[] = { [OP_EQ] = OP_EQ, [OP_NE] = OP_NE, [OP_LT] = OP_GT,
					    [OP_LE] = OP_GE, [OP_GT] = OP_LT, [OP_GE] = OP_LE };
	const char *at = p->token.pos;
	struct operand right;
	struct test *t;

	next(p);
	if (!parse_operand(p, &right))
		return false;
	if (!left->is_field && !right.is_field)
		return fail(p, left->token.pos, "a field is compared with a value, not two values");
	if (!left->is_field) {
		struct operand field = right;

		right = *left;
		*left = field;
		op = mirrored[op];
	}
	if (op != OP_EQ && op != OP_NE && left->field.type != FR_FIELD_NUMBER)
		return fail(p, at, "%s is %s, which has no order", left->field.name,
			    fr_field_type_name(&left->field));
	if (right.is_field && !is_same_type(&left->field, &right.field))
		return fail(p, at, "%s is %s, and %s is %s", left->field.name,
			    fr_field_type_name(&left->field), right.field.name,
			    fr_field_type_name(&right.field));
	t = add_test(p, op, &left->field);
	if (!t || !right.is_field)
		return t && add_literal(p, &right.token, t);
	t->has_other = true;
	t->other = right.field;
	return true;
}

static bool parse_literal(struct parser *p, struct test *t)
{
	struct operand o;

	if (!parse_operand(p, &o))
		return false;
	if (o.is_field)
		return fail(p, o.token.pos, "a value expected, not the field %s", o.field.name);
	return add_literal(p, &o.token, t);
}

static bool parse_in(struct parser *p, const struct fr_field *f, enum test_op op)
{
	struct test *t;

	if (f->type == FR_FIELD_BOOL)
		return fail(p, p->token.pos, "%s is a boolean: it stands alone", f->name);
	t = add_test(p, op, f);
	if (!t)
		return false;
	if (!is_token(p, "[")) {
		if (f->type != FR_FIELD_NET && f->type != FR_FIELD_BYTES)
			return expect(p, "[", "behind in");
		return parse_literal(p, t);
	}
	do {
		next(p);
		if (!parse_literal(p, t))
			return false;
	} while (is_token(p, ","));
	return expect(p, "]", "at the end of the list");
}

static bool parse_pattern(struct parser *p, const struct fr_field *f, enum test_op op)
{
	const char *at = p->token.pos, *flaw;
	const struct fr_field_value *v;
	struct test *t;

	if (f->type != FR_FIELD_TEXT)
		return fail(p, at, "%s is %s: only text matches a pattern", f->name,
			    fr_field_type_name(f));
	t = add_test(p, op, f);
	if (!t || !parse_literal(p, t))
		return false;
	v = &p->e->literals[t->first];
	flaw = fr_glob_flaw(v->bytes, v->len);
	return flaw ? fail(p, at, "%s", flaw) : true;
}

/* matches(FIELD, 'pattern') */
static bool parse_matches(struct parser *p)
{
	struct operand o;

	if (!expect(p, "(", "behind matches") || !parse_operand(p, &o))
		return false;
	if (!o.is_field)
		return fail(p, o.token.pos, "a field expected: matches(FIELD, 'pattern')");
	return expect(p, ",", "behind the field") && parse_pattern(p, &o.field, OP_MATCHES) &&
	       expect(p, ")", "behind the pattern");
}

static bool parse_test(struct parser *p)
{
	static const char *const signs[] = { "==", "!=", "<", "<=", ">", ">=" };
	const char *begin = p->token.pos;
	struct operand left;
	bool is_negated;
	unsigned int op;

	if (accept(p, "matches"))
		return parse_matches(p);
	if (!parse_operand(p, &left))
		return false;
	for (op = 0; op < sizeof(signs) / sizeof(signs[0]); op++)
		if (is_token(p, signs[op]))
			return parse_comparison(p, &left, op);
	if (is_token(p, "="))
		return fail(p, p->token.pos, "\"=\" is no comparison: \"==\" is");
	is_negated = accept(p, "not");
	if (!left.is_field)
		return fail(p, begin, "a value alone is no condition: compare a field with it");
	if (accept(p, "in"))
		return parse_in(p, &left.field, is_negated ? OP_NOT_IN : OP_IN);
	if (accept(p, "matches"))
		return parse_pattern(p, &left.field, is_negated ? OP_NOT_MATCHES : OP_MATCHES);
	if (is_negated)
		return fail(p, p->token.pos, "\"in\" or \"matches\" expected behind \"not\"");
	if (left.field.type != FR_FIELD_BOOL)
		return fail(p, begin, "%s is %s, no condition: compare it with something",
			    left.field.name, fr_field_type_name(&left.field));
	return add_test(p, OP_TRUE, &left.field);
}

static bool parse_or(struct parser *p);

static bool parse_not(struct parser *p)
{
	bool is_good;

	if (p->depth == FR_EXPR_DEPTH_MAX)
		return fail(p, p->token.pos, "more than %d parentheses and nots within each other",
			    FR_EXPR_DEPTH_MAX);
	p->depth++;
	if (accept(p, "!") || accept(p, "not"))
		is_good = parse_not(p) && emit(p, STEP_NOT, 0);
	else if (accept(p, "("))
		is_good = parse_or(p) && expect(p, ")", "at the end of the parentheses");
	else
		is_good = parse_test(p);
	p->depth--;
	return is_good;
}

/* One step each skips what is behind it, up to the end of its part. */
static bool parse_and(struct parser *p)
{
	size_t skip;

	if (!parse_not(p))
		return false;
	while (accept(p, "&&") || accept(p, "and")) {
		skip = p->e->n_steps;
		if (!emit(p, STEP_SKIP_IF_FALSE, 0) || !parse_not(p))
			return false;
		p->e->steps[skip].to = (uint16_t)p->e->n_steps;
	}
	return true;
}

static bool parse_or(struct parser *p)
{
	size_t skip;

	if (!parse_and(p))
		return false;
	while (accept(p, "||") || accept(p, "or")) {
		skip = p->e->n_steps;
		if (!emit(p, STEP_SKIP_IF_TRUE, 0) || !parse_and(p))
			return false;
		p->e->steps[skip].to = (uint16_t)p->e->n_steps;
	}
	return true;
}

static bool parse(struct parser *p)
{
	if (p->end - p->text > FR_EXPR_TEXT_MAX)
		return fail(p, p->text, "longer than %d bytes", FR_EXPR_TEXT_MAX);
	if (memchr(p->text, '\0', (size_t)(p->end - p->text)))
		return fail(p, memchr(p->text, '\0', (size_t)(p->end - p->text)), "a NUL byte");
	next(p);
	if (p->token.type == TOKEN_END)
		return fail(p, p->text, "an empty condition");
	if (!parse_or(p))
		return false;
	if (p->token.type != TOKEN_END)
		return fail(p, p->token.pos, "\"and\", \"or\" or the end expected, not \"%.*s\"",
			    (int)(p->token.len < 40 ? p->token.len : 40), p->token.pos);
	return !p->is_bad;
}

struct fr_expr *fr_expr_compile(unsigned int table, const char *text, size_t len,
				struct fr_expr_error *error)
{
	struct parser *p = calloc(1, sizeof(*p));
	struct fr_expr *e = calloc(1, sizeof(*e));
	bool is_good = false;

	*error = (struct fr_expr_error){ .column = 1, .text = "out of memory" };
	if (p && e) {
		e->table = table;
		*p = (struct parser){ .e = e, .text = text, .end = text + len, .error = error };
		p->token.pos = text;
		is_good = parse(p);
	}
	free(p);
	if (is_good)
		return e;
	free(e);
	return NULL;
}

void fr_expr_free(struct fr_expr *e)
{
	free(e);
}

/* --- evaluation --------------------------------------------------------- */

static bool is_equal(const struct fr_field_value *a, const struct fr_field_value *b)
{
	return a->number == b->number && a->len == b->len &&
	       (!a->len || !memcmp(a->bytes, b->bytes, a->len));
}

/* Is an address, or all of a prefix, in a network? */
static bool is_inside(const struct fr_field_value *v, const struct fr_field_value *net)
{
	size_t whole = net->number / 8, rest = net->number % 8;

	if (v->len != net->len || v->number < net->number || memcmp(v->bytes, net->bytes, whole))
		return false;
	return !rest || !((v->bytes[whole] ^ net->bytes[whole]) & (0xff00 >> rest) & 0xff);
}

static bool is_in(const struct fr_expr *e, const struct test *t, const struct fr_field_value *v)
{
	bool has_prefix = t->field.type == FR_FIELD_NET || t->field.type == FR_FIELD_BYTES;
	const struct fr_field_value *literal = &e->literals[t->first];
	size_t i;

	for (i = 0; i < t->n; i++)
		if (has_prefix ? is_inside(v, &literal[i]) : is_equal(v, &literal[i]))
			return true;
	return false;
}

static bool run_test(const struct fr_expr *e, const struct test *t, fr_expr_get *get, void *cookie,
		     bool *is_missing)
{
	struct fr_field_value v, other;

	if (!get(cookie, &t->field, &v) || (t->has_other && !get(cookie, &t->other, &other))) {
		*is_missing = true;
		return false;
	}
	if (!t->has_other && t->n)
		other = e->literals[t->first];
	switch (t->op) {
	case OP_EQ:
		return is_equal(&v, &other);
	case OP_NE:
		return !is_equal(&v, &other);
	case OP_LT:
		return v.number < other.number;
	case OP_LE:
		return v.number <= other.number;
	case OP_GT:
		return v.number > other.number;
	case OP_GE:
		return v.number >= other.number;
	case OP_IN:
		return is_in(e, t, &v);
	case OP_NOT_IN:
		return !is_in(e, t, &v);
	case OP_MATCHES:
		return fr_glob_match(other.bytes, other.len, v.bytes, v.len);
	case OP_NOT_MATCHES:
		return !fr_glob_match(other.bytes, other.len, v.bytes, v.len);
	default:
		return v.number;
	}
}

bool fr_expr_eval(const struct fr_expr *e, fr_expr_get *get, void *cookie, bool *is_missing)
{
	bool result = false;
	size_t i = 0;

	while (i < e->n_steps) {
		const struct step *s = &e->steps[i++];

		if (s->type == STEP_TEST)
			result = run_test(e, &e->tests[s->to], get, cookie, is_missing);
		else if (s->type == STEP_NOT)
			result = !result;
		else if (result == (s->type == STEP_SKIP_IF_TRUE))
			i = s->to;
	}
	return result;
}

static bool get_of_record(void *cookie, const struct fr_field *f, struct fr_field_value *v)
{
	return fr_field_get(cookie, f, v);
}

bool fr_expr_matches(const struct fr_expr *e, const void *rec, bool *is_missing)
{
	struct fr_field_reader r;

	fr_field_reader_init(&r, e->table, rec);
	return fr_expr_eval(e, get_of_record, &r, is_missing);
}

void fr_expr_fields(const struct fr_expr *e, void (*fn)(void *cookie, const struct fr_field *f),
		    void *cookie)
{
	size_t i, k;

	for (i = 0; i < 2 * e->n_tests; i++) {
		const struct test *t = &e->tests[i / 2];
		const struct fr_field *f = i % 2 ? &t->other : &t->field;

		if (i % 2 && !t->has_other)
			continue;
		for (k = 0; k < i; k++)
			if ((k % 2 ? e->tests[k / 2].other.name : e->tests[k / 2].field.name) ==
			    f->name)
				break;
		if (k == i)
			fn(cookie, f);
	}
}
