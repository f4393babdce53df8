#include "index/claims.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call) \
	do { \
		if (call) \
			fail_msg("%s", err.msg); \
	} while (0)

#define N_IDS 3000

/*
 * Few shards and few homes, so that long runs of neighbours are made and holes
 * are closed across the end of the table.
 */
static struct id id_of(unsigned number)
{
	struct id id = { { 0 } };

	id.b[0] = (uint8_t)(number % 2);
	id.b[1] = (uint8_t)(number % 7 ? 0xf0 + number % 16 : 3);
	id.b[2] = 0xff;
	id.b[12] = (uint8_t)number;
	id.b[13] = (uint8_t)(number >> 8);
	id.b[15] = 1;
	return id;
}

static void test_it_agrees_with_a_plain_list(void **state)
{
	static bool there[N_IDS];
	unsigned seed = (unsigned)getpid();
	struct claims *c;
	size_t n = 0;
	struct err err;

	(void)state;
	print_message("seed %u\n", seed);
	OK(claims_new(&c, &err));
	for (int i = 0; i < 400000; i++) {
		/* Now mostly growing, now mostly shrinking. */
		bool grow = rand_r(&seed) % 10 < (i / 50000 % 2 ? 3 : 7);
		unsigned k = (unsigned)rand_r(&seed) % N_IDS;
		struct id id = id_of(k);
		bool added;

		if (grow) {
			OK(claims_add(c, &id, &added, &err));
			assert_int_equal(!there[k], added);
			n += added;
			there[k] = true;
		} else {
			claims_remove(c, &id);
			n -= there[k];
			there[k] = false;
		}
		if (i % 1000 == 0)
			assert_int_equal(n, claims_count(c));
	}
	for (unsigned k = 0; k < N_IDS; k++) {
		struct id id = id_of(k);

		claims_remove(c, &id);
	}
	assert_int_equal(0, claims_count(c));
	claims_free(c);
}

struct user {
	struct claims *c;
	unsigned n_added;
};

static void *claim_all(void *arg)
{
	struct user *u = arg;

	for (unsigned k = 0; k < N_IDS; k++) {
		struct id id = id_of(k);
		struct err err;
		bool added;

		if (claims_add(u->c, &id, &added, &err) == 0)
			u->n_added += added;
	}
	return NULL;
}

static void test_of_four_threads_one_gets_each_id(void **state)
{
	struct user user[4];
	pthread_t thread[4];
	unsigned n = 0;
	struct claims *c;
	struct err err;

	(void)state;
	OK(claims_new(&c, &err));
	for (int i = 0; i < 4; i++) {
		user[i] = (struct user){ .c = c };
		pthread_create(&thread[i], NULL, claim_all, &user[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		n += user[i].n_added;
	}
	assert_int_equal(N_IDS, n);
	assert_int_equal(N_IDS, claims_count(c));
	claims_free(c);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_it_agrees_with_a_plain_list),
	cmocka_unit_test(test_of_four_threads_one_gets_each_id),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
