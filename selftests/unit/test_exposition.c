// SPDX-License-Identifier: GPL-2.0-or-later
/* Text for Prometheus, byte by byte as its format 0.0.4 has it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"

static struct exposition *begin(void)
{
	static struct exposition x;

	assert_int_equal(exposition_open(&x), 0);
	return &x;
}

static void ends(struct exposition *x, const char *expected)
{
	char *text = exposition_close(x);

	assert_string_equal(text, expected);
	free(text);
}

/* One sample of a family without labels, whose value is @value. */
static void writes(double value, const char *expected)
{
	struct exposition *x = begin();
	char text[128];

	exposition_family(x, "a", "gauge", "A.");
	exposition_sample(x, "", NULL, value);
	snprintf(text, sizeof(text), "# HELP a A.\n# TYPE a gauge\na %s\n", expected);
	ends(x, text);
}

static void labelled(const char *value, const char *expected)
{
	const struct exposition_label labels[] = { { "peer", value }, { NULL, NULL } };
	struct exposition *x = begin();
	char text[256];

	exposition_family(x, "a", "gauge", "A.");
	exposition_sample(x, "", labels, 1);
	snprintf(text, sizeof(text), "# HELP a A.\n# TYPE a gauge\na{peer=\"%s\"} 1\n", expected);
	ends(x, text);
}

static void test_families(void **state)
{
	const struct exposition_label one[] = { { "peer", "b" }, { NULL, NULL } };
	const struct exposition_label two[] = { { "peer", "b" }, { "dir", "tx" }, { NULL, NULL } };
	struct exposition *x = begin();

	(void)state;
	exposition_family(x, "a_total", "counter", "How many.");
	exposition_sample(x, "", one, 1);
	exposition_sample(x, "", two, 2);
	exposition_family(x, "b", "gauge", "Has no sample, so it is not there.");
	exposition_family(x, "c", "summary", "A backslash \\ and\na line.");
	exposition_sample(x, "_sum", NULL, 0.5);
	exposition_sample(x, "_count", NULL, 3);
	ends(x, "# HELP a_total How many.\n# TYPE a_total counter\n"
		"a_total{peer=\"b\"} 1\na_total{peer=\"b\",dir=\"tx\"} 2\n"
		"# HELP c A backslash \\\\ and\\na line.\n# TYPE c summary\nc_sum 0.5\nc_count 3\n");
}

static void test_nothing(void **state)
{
	struct exposition *x = begin();

	(void)state;
	exposition_family(x, "a", "gauge", "A.");
	exposition_sample(x, "", NULL, NAN);
	ends(x, "");
}

static void test_numbers(void **state)
{
	(void)state;
	writes(0, "0");
	writes(1, "1");
	writes(-1.5, "-1.5");
	writes(0.1, "0.1");
	writes(0.000001, "1e-06");
	writes(INFINITY, "+Inf");
	writes(-INFINITY, "-Inf");
	/* A counter of bytes; then where neighbours are 2 apart. */
	writes(123456789012345, "123456789012345");
	writes(9007199254740993.0, "9007199254740992");
	writes(9007199254740991.0, "9007199254740991");
	writes(1.0 / 3, "0.33333333333333331");
}

static void test_labels(void **state)
{
	(void)state;
	labelled("", "");
	labelled("fw-1.example", "fw-1.example");
	labelled("a\"b\\c\nd", "a\\\"b\\\\c\\nd");
	labelled("\\n", "\\\\n");
	labelled("K\xc3\xb6ln", "K\xc3\xb6ln");
	/* Not UTF-8: the reader would refuse all of the page. */
	labelled("K\xf6ln \"", "K?ln \\\"");
	labelled("\xff\xfe", "??");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
