// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happened of late: numbers, what is forgotten, and texts that others have written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "events.h"

static size_t count(json_t *o)
{
	return json_array_size(json_object_get(o, "events"));
}

static json_int_t number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *text_of(json_t *o, size_t i)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(o, "events"), i),
						 "text"));
}

static void numbers_go_on(void **state)
{
	struct events *e = events_new();
	json_t *o;
	unsigned int i;

	(void)state;
	fr_log_open("test_events", FR_LOG_ERR);
	assert_int_equal(events_next(e), 1);
	o = events_json(e, 0);
	assert_int_equal(count(o), 0);
	assert_int_equal(number(o, "next"), 1);
	json_decref(o);
	for (i = 1; i <= EVENTS_MAX + 3; i++)
		events_log(e, EVENT_STATE, FR_LOG_NOTICE, i == 10 ? "b" : NULL, "%u", i);

	/* The first three are forgotten, and who asks for them is told how many. */
	o = events_json(e, 0);
	assert_int_equal(count(o), EVENTS_MAX);
	assert_string_equal(text_of(o, 0), "4");
	assert_int_equal(number(o, "missed"), 0);
	json_decref(o);
	o = events_json(e, 2);
	assert_int_equal(count(o), EVENTS_MAX);
	assert_int_equal(number(o, "missed"), 2);
	json_decref(o);
	o = events_json(e, EVENTS_MAX + 3);
	assert_int_equal(count(o), 1);
	assert_int_equal(number(o, "missed"), 0);
	assert_int_equal(number(o, "next"), EVENTS_MAX + 4);
	json_decref(o);
	o = events_json(e, EVENTS_MAX + 4);
	assert_int_equal(count(o), 0);
	json_decref(o);
	/* Of another run. */
	o = events_json(e, EVENTS_MAX + 5);
	assert_int_equal(count(o), EVENTS_MAX);
	json_decref(o);

	o = events_about(e, "b");
	assert_int_equal(json_array_size(o), 1);
	assert_int_equal(number(json_array_get(o, 0), "n"), 10);
	json_decref(o);
	events_free(e);
	events_log(NULL, EVENT_STATE, FR_LOG_NOTICE, NULL, "to nobody");
}

static void on_event(void *cookie)
{
	++*(unsigned int *)cookie;
}

static void texts_are_tamed(void **state)
{
	static const char *const names[] = { "start", "cleared" };
	struct events *e = events_new();
	unsigned int n = 0;
	char big[2000];
	json_t *o, *v;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	events_watch(e, on_event, &n);
	events_log(e, EVENT_START, FR_LOG_ERR, "p\xff", "bad \xff bytes %s", big);
	events_log(e, EVENT_CLEARED, FR_LOG_WARNING, NULL, "replication: peer b: in step");
	events_log(e, EVENT_CLEARED, FR_LOG_INFO, NULL, "resync 3: done");
	assert_int_equal(n, 3);
	o = events_json(e, 1);
	assert_int_equal(strlen(text_of(o, 0)), EVENT_TEXT_LEN - 1);
	assert_memory_equal(text_of(o, 0), "bad ? bytes xxx", 15);
	assert_string_equal(text_of(o, 1), "peer b: in step");
	assert_string_equal(text_of(o, 2), "resync 3: done");
	v = json_array_get(json_object_get(o, "events"), 0);
	assert_string_equal(json_string_value(json_object_get(v, "peer")), "p?");
	assert_string_equal(json_string_value(json_object_get(v, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(v, "type")), names[0]);
	v = json_array_get(json_object_get(o, "events"), 1);
	assert_true(json_is_null(json_object_get(v, "peer")));
	assert_string_equal(json_string_value(json_object_get(v, "type")), names[1]);
	json_decref(o);
	events_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_go_on),
		cmocka_unit_test(texts_are_tamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
