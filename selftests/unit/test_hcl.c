// SPDX-License-Identifier: GPL-2.0-or-later
/* The HCL reader: what it accepts, and every fault with its place. */
#include "hcl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct tree {
	struct fr_arena arena;
	struct fr_diag diag;
	struct fr_hcl_body *root;
};

static void read_bytes(struct tree *t, const char *text, size_t len)
{
	fr_arena_init(&t->arena, 64u << 20);
	fr_diag_init(&t->diag, "f");
	t->root = fr_hcl_parse(text, len, &t->arena, &t->diag);
}

static void read_good(struct tree *t, const char *text)
{
	read_bytes(t, text, strlen(text));
	if (fr_diag_has_errors(&t->diag))
		fr_diag_print(&t->diag, stderr);
	assert_false(fr_diag_has_errors(&t->diag));
	assert_non_null(t->root);
}

static void drop(struct tree *t)
{
	fr_diag_free(&t->diag);
	fr_arena_free(&t->arena);
}

/* Every entry a line, as a person would see it. */
static char *faults(struct tree *t)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fr_diag_sort(&t->diag);
	fr_diag_print(&t->diag, out);
	fclose(out);
	return text;
}

static const struct fr_hcl_value *get(const struct fr_hcl_body *body,
				      const char *key)
{
	struct fr_hcl_item *item = fr_hcl_find(body, key);

	assert_non_null(item);
	return &item->value;
}

static void assert_text(const struct fr_hcl_body *body, const char *key,
			const char *text)
{
	const struct fr_hcl_value *value = get(body, key);

	assert_int_equal(value->type, FR_HCL_STRING);
	assert_string_equal(value->string.bytes, text);
	assert_int_equal(value->string.len, strlen(text));
}

static void scalars(void **state)
{
	struct tree t;

	(void)state;
	read_good(&t,
		  "a = true\nb = false # c\nc = null // c\nd = 42 /* c\n */\n"
		  "e = -7\nf = 1.5\ng = 2e3\nh-i_1 = \"x\"");
	assert_true(get(t.root, "a")->boolean);
	assert_false(get(t.root, "b")->boolean);
	assert_int_equal(get(t.root, "c")->type, FR_HCL_NULL);
	assert_int_equal(get(t.root, "d")->number.integer, 42);
	assert_int_equal(get(t.root, "e")->number.integer, -7);
	assert_true(get(t.root, "f")->number.is_fraction);
	assert_true(get(t.root, "g")->number.is_fraction);
	assert_false(get(t.root, "d")->number.is_fraction);
	assert_text(t.root, "h-i_1", "x");
	assert_int_equal(t.root->n_items, 8);
	assert_null(fr_hcl_find(t.root, "z"));
	drop(&t);
}

static void strings(void **state)
{
	struct tree t;

	(void)state;
	read_good(
		&t,
		"a = \"\\n\\t\\r\\\"\\\\\"\nb = \"\\u00e4\\u20ac\\U0001F600\"\n"
		"c = \"$${x} %%{y} $5 100% $$ \"\nd = \"#not//a/*comment\"\n"
		"e = \"\xc3\xa4\"\nf = \"\"");
	assert_text(t.root, "a", "\n\t\r\"\\");
	assert_text(t.root, "b", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_text(t.root, "c", "${x} %{y} $5 100% $$ ");
	assert_text(t.root, "d", "#not//a/*comment");
	assert_text(t.root, "e", "\xc3\xa4");
	assert_text(t.root, "f", "");
	drop(&t);
}

static void heredocs(void **state)
{
	struct tree t;

	(void)state;
	read_good(&t,
		  "a = <<EOT\n  one\n\ttwo \\n \"q\" $${z}\nEOT\nb = 1\n"
		  "c = <<-END\n    one\n      two\n\n    END\nd = <<E\nE\n");
	assert_text(t.root, "a", "  one\n\ttwo \\n \"q\" ${z}\n");
	assert_int_equal(get(t.root, "b")->number.integer, 1);
	assert_text(t.root, "c", "one\n  two\n\n");
	assert_text(t.root, "d", "");
	drop(&t);
}

static void collections(void **state)
{
	const struct fr_hcl_value *list;
	const struct fr_hcl_body *o;
	struct tree t;

	(void)state;
	read_good(
		&t,
		"l = [ 1, \"two\",\n\n  [],\n  { a = 1 },\n]\n"
		"o = { a = 1, \"b c\" : 2\n  d = 3\n\n  e = { f = true },\n}\n"
		"empty = {}\nnone = []\n");
	list = get(t.root, "l");
	assert_int_equal(list->list.n, 4);
	assert_int_equal(list->list.first->number.integer, 1);
	assert_string_equal(list->list.first->next->string.bytes, "two");
	assert_int_equal(list->list.first->next->next->list.n, 0);
	o = get(t.root, "o")->object;
	assert_int_equal(o->n_items, 4);
	assert_int_equal(get(o, "b c")->number.integer, 2);
	assert_true(get(get(o, "e")->object, "f")->boolean);
	assert_int_equal(get(t.root, "empty")->object->n_items, 0);
	assert_int_equal(get(t.root, "none")->list.n, 0);
	drop(&t);
}

static void blocks(void **state)
{
	const struct fr_hcl_item *item;
	struct tree t;

	(void)state;
	read_good(
		&t,
		"zone \"lan\" {\n  a = 1\n}\nzone wan two \"three\" { b = 2 }\n"
		"empty {}\r\nouter {\r\n  inner {\r\n    c = 3\r\n  }\r\n}\r\n");
	item = t.root->first;
	assert_true(item->is_block);
	assert_int_equal(item->n_labels, 1);
	assert_string_equal(item->labels[0], "lan");
	item = item->next;
	assert_string_equal(item->key, "zone");
	assert_int_equal(item->n_labels, 3);
	assert_string_equal(item->labels[1], "two");
	assert_int_equal(get(item->value.object, "b")->number.integer, 2);
	assert_int_equal(get(get(get(t.root, "outer")->object, "inner")->object,
			     "c")
				 ->number.integer,
			 3);
	drop(&t);
}

static void places_count_characters(void **state)
{
	struct tree t;

	(void)state;
	read_good(&t, "a = 1\n  b = [ \"\xc3\xa4\xe2\x82\xac\", 2 ]");
	assert_int_equal(fr_hcl_find(t.root, "b")->pos.line, 2);
	assert_int_equal(fr_hcl_find(t.root, "b")->pos.column, 3);
	assert_int_equal(get(t.root, "b")->list.first->next->pos.line, 2);
	assert_int_equal(get(t.root, "b")->list.first->next->pos.column, 15);
	drop(&t);
}

static const struct {
	const char *text;
	const char *faults;
} broken[] = {
	{ "a = tru",
	  "f:1:5: \"tru\" is not a value: did you mean true? Strings are quoted\n" },
	{ "a = primary",
	  "f:1:5: \"primary\" is not a value: strings are quoted: \"primary\"\n" },
	{ "a = 24h",
	  "f:1:5: 24h is not a number: quote durations, sizes and addresses: \"24h\"\n" },
	{ "a = 10.0.0.1:9001",
	  "f:1:5: 10.0.0.1:9001 is not a number: quote durations, sizes and addresses: \"10.0.0.1:9001\"\n" },
	{ "a = 10.0.0.0/8",
	  "f:1:5: 10.0.0.0/8 is not a number: quote durations, sizes and addresses: \"10.0.0.0/8\"\n" },
	{ "a = 99999999999999999999",
	  "f:1:5: 99999999999999999999 is too large a number\n" },
	{ "a = -x", "f:1:6: expected a number after \"-\", found \"x\"\n" },
	{ "a = ", "f:1:5: expected a value, found the end of the file\n" },
	{ "a =\n1", "f:1:4: expected a value, found the end of the line\n"
		    "f:2:1: expected a name, found \"1\"\n" },
	{ "a = 1 b = 2", "f:1:7: expected the end of the line, found \"b\"\n" },
	{ "a", "f:1:2: expected \"=\" or \"{\", found the end of the file\n" },
	{ "a \"l\" = 1", "f:1:7: expected \"{\", found \"=\"\n" },
	{ "a b c d e {}", "f:1:9: expected \"{\", found \"e\"\n" },
	{ "\"a\" = 1", "f:1:1: names are not quoted here: a = ...\n" },
	{ "= 1", "f:1:1: expected a name, found \"=\"\n" },
	{ "a = \"x", "f:1:5: this string has no closing quote on its line\n" },
	{ "a = \"x\nb = 1",
	  "f:1:5: this string has no closing quote on its line\n" },
	{ "a = \"\\q\"",
	  "f:1:6: unknown escape: only \\n \\t \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX exist\n" },
	{ "a = \"\\u12\"", "f:1:6: \\u needs 4 hexadecimal digits\n" },
	{ "a = \"\\u0000\"",
	  "f:1:6: \\u0000 is not a character that can be used here\n" },
	{ "a = \"\\uD800\"",
	  "f:1:6: \\uD800 is not a character that can be used here\n" },
	{ "a = \"\\U00110000\"",
	  "f:1:6: \\U00110000 is not a character that can be used here\n" },
	{ "a = \"${b}\"",
	  "f:1:6: templates are not supported: write \"$${\" for a literal \"${\"\n" },
	{ "a = \"x%{b}\"",
	  "f:1:7: templates are not supported: write \"%%{\" for a literal \"%{\"\n" },
	{ "a = <<E\n ${b}\nE\n",
	  "f:2:2: templates are not supported: write \"$${\" for a literal \"${\"\n" },
	{ "a = <<E\nx\n",
	  "f:1:5: no line closes this heredoc: \"E\" is missing\n" },
	{ "a = << \nx",
	  "f:1:5: a heredoc starts with << or <<-, a name and the end of the line\n"
	  "f:2:2: expected \"=\" or \"{\", found the end of the file\n" },
	{ "a = 'x'", "f:1:5: use double quotes: \"...\"\n" },
	{ "a = (1)", "f:1:5: \"(\" has no meaning here\n" },
	{ "a = \xc3\xa4", "f:1:5: \"\xc3\xa4\" has no meaning here\n" },
	{ "a = \x01", "f:1:5: control character 0x01\n" },
	{ "a = 1\ra = 2", "f:1:6: control character 0x0d\n" },
	{ "/* x", "f:1:1: this comment is never closed\n" },
	{ "a {\n b = 1\n", "f:1:3: this \"{\" is never closed\n" },
	{ "a = [1,\n 2", "f:1:5: this \"[\" is never closed\n" },
	{ "a = [", "f:1:5: this \"[\" is never closed\n" },
	{ "a = 1\n}\nb = 2", "f:2:1: this \"}\" closes nothing\n" },
	{ "a = [1 2]",
	  "f:1:8: expected \",\" or \"]\" in the list, found \"2\"\n" },
	{ "a = {\n b {\n c = 1\n }\n}\n",
	  "f:2:2: inside \"= { }\" there are no blocks: write b = { ... }\n" },
	{ "a = { b = 1 c = 2 }",
	  "f:1:13: expected \",\" or the end of the line, found \"c\"\n" },
	{ "a = { b 1 }", "f:1:9: expected \"=\", found \"1\"\n" },
	{ "a { b = 1, c = 2 }",
	  "f:1:10: expected the end of the line, found \",\"\n" },
	{ "a = 1\nb = 2\na = 3", "f:3:1: a is set twice: first on line 1\n" },
	{ "a = { b = 1\n \"b\" = 2 }",
	  "f:2:2: b is set twice: first on line 1\n" },
	{ "a {\n}\na = {}", "f:3:1: a is set twice: first on line 1\n" },
	{ "\xef\xbb\xbf"
	  "a = 1",
	  "f:1:1: the file starts with a byte order mark: remove it\n" },
	{ "a = 1\nb = \"\xff\"",
	  "f:2:6: invalid UTF-8: save the file as UTF-8\n" },
	{ "\xc0\x80", "f:1:1: invalid UTF-8: save the file as UTF-8\n" },
	{ "\xed\xa0\x80", "f:1:1: invalid UTF-8: save the file as UTF-8\n" },
	{ "\xf4\x90\x80\x80",
	  "f:1:1: invalid UTF-8: save the file as UTF-8\n" },
	{ "#\xe2\x82", "f:1:2: invalid UTF-8: save the file as UTF-8\n" },
	/* Independent faults are all told, and the lines between them still read. */
	{ "a = 24h\nb = \"${x}\"\nc = 1\nd {\n e = tru\n f\n}\nc = 2",
	  "f:1:5: 24h is not a number: quote durations, sizes and addresses: \"24h\"\n"
	  "f:2:6: templates are not supported: write \"$${\" for a literal \"${\"\n"
	  "f:5:6: \"tru\" is not a value: did you mean true? Strings are quoted\n"
	  "f:6:3: expected \"=\" or \"{\", found the end of the line\n"
	  "f:8:1: c is set twice: first on line 3\n" },
};

static void every_fault_has_its_place(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct tree t;
		char *text;

		read_bytes(&t, broken[i].text, strlen(broken[i].text));
		text = faults(&t);
		assert_string_equal(text, broken[i].faults);
		free(text);
		drop(&t);
	}
}

static void nul_bytes_are_refused(void **state)
{
	static const char text[] = "a = 1\nb\0 = 2";
	struct tree t;
	char *list;

	(void)state;
	read_bytes(&t, text, sizeof(text) - 1);
	assert_null(t.root);
	list = faults(&t);
	assert_string_equal(list, "f:2:2: NUL byte: this is not a text file\n");
	free(list);
	drop(&t);
}

/* "x = [[[...]]]" with @depth brackets. */
static char *nested(size_t depth)
{
	char *text = malloc(4 + 2 * depth + 1);

	memcpy(text, "x = ", 4);
	memset(text + 4, '[', depth);
	memset(text + 4 + depth, ']', depth);
	text[4 + 2 * depth] = '\0';
	return text;
}

static void depth_is_bounded(void **state)
{
	char *text = nested(FR_HCL_DEPTH_MAX), *list;
	struct tree t;

	(void)state;
	read_good(&t, text);
	drop(&t);
	free(text);
	text = nested(FR_HCL_DEPTH_MAX + 1);
	read_bytes(&t, text, strlen(text));
	list = faults(&t);
	assert_string_equal(list, "f:1:69: nested too deep\n");
	free(list);
	drop(&t);
	free(text);
	text = nested(FR_HCL_TEXT_MAX / 2 - 8);
	read_bytes(&t, text, strlen(text));
	assert_true(fr_diag_has_errors(&t.diag));
	drop(&t);
	free(text);
}

static void length_is_bounded(void **state)
{
	char *text = malloc(FR_HCL_TEXT_MAX + 1), *list;
	struct tree t;

	(void)state;
	memset(text, ' ', FR_HCL_TEXT_MAX + 1);
	read_bytes(&t, text, FR_HCL_TEXT_MAX);
	assert_false(fr_diag_has_errors(&t.diag));
	drop(&t);
	read_bytes(&t, text, FR_HCL_TEXT_MAX + 1);
	assert_null(t.root);
	list = faults(&t);
	assert_string_equal(
		list,
		"f: 1048577 bytes: a configuration file has at most 1048576\n");
	free(list);
	drop(&t);
	free(text);
}

static void faults_are_capped(void **state)
{
	char text[26 * 8 + 1] = "";
	struct tree t;
	char *list;
	int i;

	(void)state;
	for (i = 0; i < 26; i++)
		sprintf(text + 8 * i, "%c = tru\n", 'a' + i);
	read_bytes(&t, text, strlen(text));
	assert_int_equal(t.diag.n[FR_DIAG_ERROR], 26);
	assert_int_equal(t.diag.n_entries, FR_DIAG_MAX);
	list = faults(&t);
	assert_non_null(strstr(list, "f: and 6 more\n"));
	free(list);
	drop(&t);
}

static void many_keys_stay_fast(void **state)
{
	size_t n = 100000, len = 0, i;
	char *text = malloc(n * 10 + 1);
	struct tree t;

	(void)state;
	for (i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "k%zu=1\n", i);
	read_bytes(&t, text, len);
	assert_false(fr_diag_has_errors(&t.diag));
	assert_int_equal(t.root->n_items, n);
	assert_non_null(fr_hcl_find(t.root, "k99999"));
	drop(&t);
	free(text);
}

static void memory_is_bounded(void **state)
{
	const char *text = "a = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]\n";
	size_t max;

	(void)state;
	for (max = 1; max < 4096; max += 16) {
		struct tree t;

		fr_arena_init(&t.arena, max);
		fr_diag_init(&t.diag, "f");
		t.root = fr_hcl_parse(text, strlen(text), &t.arena, &t.diag);
		assert_true(!t.root == fr_diag_has_errors(&t.diag));
		drop(&t);
	}
}

static void strings_print_back(void **state)
{
	static const char all[] =
		"q\" b\\ n\n t\t r\r ${x} %{y} $${z} \x01\x7f \xc3\xa4";
	char *text = NULL;
	struct tree t;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("a = ", out);
	fr_hcl_write_string(all, out);
	fclose(out);
	read_good(&t, text);
	assert_text(t.root, "a", all);
	drop(&t);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars),
		cmocka_unit_test(strings),
		cmocka_unit_test(heredocs),
		cmocka_unit_test(collections),
		cmocka_unit_test(blocks),
		cmocka_unit_test(places_count_characters),
		cmocka_unit_test(every_fault_has_its_place),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(length_is_bounded),
		cmocka_unit_test(faults_are_capped),
		cmocka_unit_test(many_keys_stay_fast),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(strings_print_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
