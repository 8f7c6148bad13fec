// SPDX-License-Identifier: GPL-2.0-or-later
#include "hcl.h"

#include "hcl_lex.h"
#include "nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct fr_hcl_lex lex;
	struct fr_hcl_token token; /* the one that is looked at */
	unsigned int open; /* braces and brackets behind us and not closed */
	unsigned int depth;
	bool is_off; /* this item was reported: what follows of it is noise */
	bool is_lost; /* structure is gone: everything after would be noise */
};

enum body_kind {
	BODY_ROOT,
	BODY_BLOCK,
	BODY_OBJECT,
};

static void parse_value(struct parser *p, struct fr_hcl_value *value);
static struct fr_hcl_body *parse_body(struct parser *p, enum body_kind kind,
				      struct fr_diag_pos pos);

static void advance(struct parser *p)
{
	if (p->token.kind == '{' || p->token.kind == '[')
		p->open++;
	else if ((p->token.kind == '}' || p->token.kind == ']') && p->open)
		p->open--;
	p->token = fr_hcl_lex_next(&p->lex);
}

/* Reports one last fault and makes the rest of the text invisible. */
static void give_up(struct parser *p, struct fr_diag_pos pos, const char *text)
{
	if (!p->is_lost)
		fr_diag_error(p->lex.diag, pos, "%s", text);
	p->is_lost = true;
	p->lex.p = p->lex.end;
	p->token = (struct fr_hcl_token){ .kind = FR_HCL_T_EOF, .pos = pos };
}

static void *alloc(struct parser *p, size_t len)
{
	void *mem = fr_arena_alloc(p->lex.arena, len);

	if (!mem)
		p->lex.is_out_of_memory = true;
	return mem;
}

static void skip_newlines(struct parser *p)
{
	while (p->token.kind == FR_HCL_T_NEWLINE)
		advance(p);
}

/* "}" as text for a message. */
static const char *token_name(const struct fr_hcl_token *token, char *buf,
			      size_t len)
{
	switch (token->kind) {
	case FR_HCL_T_EOF:
		return "the end of the file";
	case FR_HCL_T_NEWLINE:
		return "the end of the line";
	case FR_HCL_T_STRING:
		return "a string";
	case FR_HCL_T_BROKEN:
		return "this";
	case FR_HCL_T_IDENT:
	case FR_HCL_T_NUMBER:
		snprintf(buf, len, "\"%.40s\"", token->text);
		return buf;
	default:
		snprintf(buf, len, "\"%c\"", token->kind);
		return buf;
	}
}

static void expected(struct parser *p, const char *what)
{
	bool is_reported = p->token.kind == FR_HCL_T_BROKEN ||
			   p->token.kind == FR_HCL_T_STRAY;
	char name[64];

	if (!is_reported && !p->is_off && !p->is_lost)
		fr_diag_error(p->lex.diag, p->token.pos,
			      "expected %s, found %s", what,
			      token_name(&p->token, name, sizeof(name)));
	p->is_off = true;
}

/* To the end of the line that belongs to a body whose brace made p->open be @open. */
static void recover(struct parser *p, unsigned int open)
{
	struct fr_diag *diag = p->lex.diag;

	p->lex.diag = NULL; /* what is skipped is not judged */
	while (p->token.kind != FR_HCL_T_EOF) {
		if (p->open <= open &&
		    (p->token.kind == FR_HCL_T_NEWLINE || p->token.kind == '}'))
			break;
		advance(p);
	}
	p->lex.diag = diag;
}

static size_t hash_key(const char *key)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ULL;
	return (size_t)(h ^ h >> 32);
}

/* The slot that holds @key or the empty one where it belongs. */
static struct fr_hcl_item **find_slot(struct fr_hcl_item **slots,
				      size_t n_slots, const char *key)
{
	size_t i = hash_key(key) & (n_slots - 1);

	while (slots[i] && strcmp(slots[i]->key, key))
		i = (i + 1) & (n_slots - 1);
	return &slots[i];
}

static bool grow_slots(struct parser *p, struct fr_hcl_body *body)
{
	size_t n_slots = body->n_slots ? body->n_slots * 2 : 8;
	struct fr_hcl_item **slots = alloc(p, n_slots * sizeof(*slots));
	size_t i;

	if (!slots)
		return false;
	for (i = 0; i < body->n_slots; i++)
		if (body->slots[i])
			*find_slot(slots, n_slots, body->slots[i]->key) =
				body->slots[i];
	body->slots = slots;
	body->n_slots = n_slots;
	return true;
}

static void add_item(struct parser *p, struct fr_hcl_body *body,
		     struct fr_hcl_item *item)
{
	struct fr_hcl_item **slot;

	if (body->n_items * 2 >= body->n_slots && !grow_slots(p, body))
		return;
	slot = find_slot(body->slots, body->n_slots, item->key);
	if (!*slot) {
		*slot = item;
	} else if (!item->is_block || !(*slot)->is_block) {
		fr_diag_error(p->lex.diag, item->pos,
			      "%s is set twice: first on line %u", item->key,
			      (*slot)->pos.line);
		return;
	}
	if (body->last)
		body->last->next = item;
	else
		body->first = item;
	body->last = item;
	body->n_items++;
}

static void parse_number(struct parser *p, struct fr_hcl_value *value,
			 bool is_negative)
{
	char *end;

	value->type = FR_HCL_NUMBER;
	errno = 0;
	value->number.integer = strtoll(p->token.text, &end, 10);
	value->number.is_fraction = *end != '\0';
	if (errno == ERANGE) {
		fr_diag_error(p->lex.diag, p->token.pos,
			      "%.40s is too large a number", p->token.text);
		value->type = FR_HCL_INVALID;
	}
	if (is_negative)
		value->number.integer = -value->number.integer;
	advance(p);
}

static void parse_word(struct parser *p, struct fr_hcl_value *value)
{
	static const struct {
		const char *word;
		enum fr_hcl_type type;
		bool boolean;
	} words[] = {
		{ "true", FR_HCL_BOOL, true },
		{ "false", FR_HCL_BOOL, false },
		{ "null", FR_HCL_NULL, false },
	};
	struct fr_nearest nearest;
	size_t i;

	fr_nearest_init(&nearest, p->token.text);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(p->token.text, words[i].word)) {
			value->type = words[i].type;
			if (value->type == FR_HCL_BOOL)
				value->boolean = words[i].boolean;
			advance(p);
			return;
		}
		fr_nearest_offer(&nearest, words[i].word);
	}
	if (nearest.best)
		fr_diag_error(
			p->lex.diag, p->token.pos,
			"\"%.40s\" is not a value: did you mean %s? Strings are quoted",
			p->token.text, nearest.best);
	else
		fr_diag_error(
			p->lex.diag, p->token.pos,
			"\"%.40s\" is not a value: strings are quoted: \"%.40s\"",
			p->token.text, p->token.text);
	advance(p);
}

static void parse_list(struct parser *p, struct fr_hcl_value *value)
{
	struct fr_diag_pos start = p->token.pos;
	struct fr_hcl_value **tail = &value->list.first;

	value->type = FR_HCL_LIST;
	advance(p);
	for (;;) {
		struct fr_hcl_value *element;

		skip_newlines(p);
		if (p->token.kind == ']')
			break;
		if (p->token.kind == FR_HCL_T_EOF) {
			give_up(p, start, "this \"[\" is never closed");
			return;
		}
		element = alloc(p, sizeof(*element));
		if (!element)
			return;
		parse_value(p, element);
		*tail = element;
		tail = &element->next;
		value->list.n++;
		skip_newlines(p);
		if (p->token.kind == ',') {
			advance(p);
			continue;
		}
		if (p->token.kind == FR_HCL_T_EOF) {
			give_up(p, start, "this \"[\" is never closed");
			return;
		}
		if (p->token.kind != ']') {
			expected(p, "\",\" or \"]\" in the list");
			p->is_lost = true;
			give_up(p, start, "");
			return;
		}
	}
	advance(p);
}

static void parse_value(struct parser *p, struct fr_hcl_value *value)
{
	value->pos = p->token.pos;
	value->type = FR_HCL_INVALID;
	if (++p->depth > FR_HCL_DEPTH_MAX)
		give_up(p, p->token.pos, "nested too deep");
	switch (p->token.kind) {
	case FR_HCL_T_STRING:
		value->type = FR_HCL_STRING;
		value->string.bytes = p->token.text;
		value->string.len = p->token.len;
		advance(p);
		break;
	case FR_HCL_T_NUMBER:
		parse_number(p, value, false);
		break;
	case '-':
		advance(p);
		if (p->token.kind == FR_HCL_T_NUMBER)
			parse_number(p, value, true);
		else
			expected(p, "a number after \"-\"");
		break;
	case FR_HCL_T_IDENT:
		parse_word(p, value);
		break;
	case FR_HCL_T_BROKEN:
		advance(p);
		break;
	case '[':
		parse_list(p, value);
		break;
	case '{':
		advance(p);
		value->object = parse_body(p, BODY_OBJECT, value->pos);
		value->type = value->object ? FR_HCL_OBJECT : FR_HCL_INVALID;
		break;
	default:
		expected(p, "a value");
	}
	p->depth--;
}

/* At what follows the name of a block: labels, then its body. */
static bool parse_block(struct parser *p, struct fr_hcl_item *item)
{
	char *labels[FR_HCL_LABELS_MAX];

	item->is_block = true;
	while (p->token.kind == FR_HCL_T_STRING ||
	       p->token.kind == FR_HCL_T_IDENT) {
		if (item->n_labels == FR_HCL_LABELS_MAX) {
			expected(p, "\"{\"");
			return false;
		}
		labels[item->n_labels++] = p->token.text;
		advance(p);
	}
	if (p->token.kind != '{') {
		expected(p, item->n_labels ? "\"{\"" : "\"=\" or \"{\"");
		return false;
	}
	if (item->n_labels) {
		item->labels = alloc(p, sizeof(labels));
		if (!item->labels)
			return false;
		memcpy(item->labels, labels,
		       item->n_labels * sizeof(labels[0]));
	}
	item->value.pos = p->token.pos;
	if (++p->depth > FR_HCL_DEPTH_MAX)
		give_up(p, p->token.pos, "nested too deep");
	else
		advance(p);
	item->value.object = parse_body(p, BODY_BLOCK, item->value.pos);
	item->value.type = item->value.object ? FR_HCL_OBJECT : FR_HCL_INVALID;
	p->depth--;
	return true;
}

/* One attribute or block. False: the rest of the line makes no sense. */
static bool parse_item(struct parser *p, struct fr_hcl_body *body,
		       enum body_kind kind)
{
	struct fr_hcl_item *item;
	bool is_good = true;

	if (p->token.kind != FR_HCL_T_IDENT &&
	    !(kind == BODY_OBJECT && p->token.kind == FR_HCL_T_STRING)) {
		if (p->token.kind == FR_HCL_T_STRING)
			fr_diag_error(p->lex.diag, p->token.pos,
				      "names are not quoted here: %.40s = ...",
				      p->token.text);
		else
			expected(p, "a name");
		return false;
	}
	item = alloc(p, sizeof(*item));
	if (!item)
		return false;
	item->key = p->token.text;
	item->pos = p->token.pos;
	item->value.pos = p->token.pos;
	advance(p);
	if (p->token.kind == '=' ||
	    (kind == BODY_OBJECT && p->token.kind == ':')) {
		advance(p);
		parse_value(p, &item->value);
	} else if (kind != BODY_OBJECT) {
		is_good = parse_block(p, item);
	} else if (p->token.kind == '{') {
		fr_diag_error(
			p->lex.diag, item->pos,
			"inside \"= { }\" there are no blocks: write %s = { ... }",
			item->key);
		is_good = false;
	} else {
		expected(p, "\"=\"");
		is_good = false;
	}
	/* Even a broken one counts as set: it is not missing. */
	add_item(p, body, item);
	return is_good && !p->lex.is_out_of_memory;
}

/* After an item: the end of the line, or of the body, or a comma in an object. */
static bool parse_separator(struct parser *p, enum body_kind kind)
{
	switch (p->token.kind) {
	case FR_HCL_T_NEWLINE:
		advance(p);
		return true;
	case FR_HCL_T_EOF:
		return true;
	case '}':
		if (kind != BODY_ROOT)
			return true;
		break;
	case ',':
		if (kind == BODY_OBJECT) {
			advance(p);
			return true;
		}
		break;
	}
	expected(p, kind == BODY_OBJECT ? "\",\" or the end of the line" :
					  "the end of the line");
	return false;
}

static struct fr_hcl_body *parse_body(struct parser *p, enum body_kind kind,
				      struct fr_diag_pos pos)
{
	struct fr_hcl_body *body = alloc(p, sizeof(*body));
	unsigned int open = p->open;

	if (!body || !grow_slots(p, body))
		return NULL;
	body->pos = pos;
	for (;;) {
		skip_newlines(p);
		if (p->token.kind == FR_HCL_T_EOF) {
			if (kind != BODY_ROOT)
				give_up(p, pos, "this \"{\" is never closed");
			return body;
		}
		if (p->token.kind == '}' && kind != BODY_ROOT) {
			advance(p);
			return body;
		}
		if (p->token.kind == '}') {
			give_up(p, p->token.pos, "this \"}\" closes nothing");
			return body;
		}
		if (!parse_item(p, body, kind) || !parse_separator(p, kind))
			recover(p, open);
		p->is_off = false;
	}
}

struct fr_hcl_body *fr_hcl_parse(const char *text, size_t len,
				 struct fr_arena *arena, struct fr_diag *diag)
{
	struct fr_hcl_body *root;
	struct parser p = { 0 };

	if (len > FR_HCL_TEXT_MAX) {
		fr_diag_error(diag, (struct fr_diag_pos){ 0 },
			      "%zu bytes: a configuration file has at most %u",
			      len, FR_HCL_TEXT_MAX);
		return NULL;
	}
	if (fr_hcl_lex_init(&p.lex, text, len, arena, diag))
		return NULL;
	advance(&p);
	root = parse_body(&p, BODY_ROOT, p.token.pos);
	if (p.lex.is_out_of_memory) {
		fr_diag_error(diag, (struct fr_diag_pos){ 0 }, "out of memory");
		return NULL;
	}
	return root;
}

struct fr_hcl_item *fr_hcl_find(const struct fr_hcl_body *body, const char *key)
{
	return *find_slot(body->slots, body->n_slots, key);
}

const char *fr_hcl_type_name(enum fr_hcl_type type)
{
	static const char *const names[] = {
		[FR_HCL_INVALID] = "nothing",  [FR_HCL_NULL] = "null",
		[FR_HCL_BOOL] = "a boolean",   [FR_HCL_NUMBER] = "a number",
		[FR_HCL_STRING] = "a string",  [FR_HCL_LIST] = "a list",
		[FR_HCL_OBJECT] = "an object",
	};

	return names[type];
}

void fr_hcl_write_string(const char *s, FILE *out)
{
	static const char from[] = "\n\t\r\"\\", to[] = "ntr\"\\";

	fputc('"', out);
	for (; *s; s++) {
		const char *simple = strchr(from, *s);

		if (simple)
			fprintf(out, "\\%c", to[simple - from]);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", (unsigned char)*s);
		else if ((*s == '$' || *s == '%') && s[1] == '{')
			fprintf(out, "%c%c", *s, *s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}
