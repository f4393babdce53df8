#include "index/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>

#include <cmocka.h>

#include "tests/index/store_fixture.h"

static void test_what_is_committed_reads_back(void **state)
{
	struct store *s = store_make(*state);

	assert_int_equal(500, ingest(s, "acme/web", 0, 500));
	all_read_back(s, 0, 500);
	store_close(s);

	s = store_again(*state);
	all_read_back(s, 0, 500);
	store_close(s);
}

static const struct CMUnitTest tests[] = {
	SCRATCH_TEST(test_what_is_committed_reads_back),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
