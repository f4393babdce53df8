/*
 * gensql -- a plain SQL dump of a made-up shop, for benchmarks and tests.
 *
 *     gensql DAY MEGABYTES > dump.sql
 *
 * The same arguments give the same bytes.  Day N+1 is day N after a day's work:
 * about 0.8 % of the account rows updated at scattered places, new rows at the
 * end of each table, in the shape pg_dump writes.  Values come from a mixing
 * function of (table, row, version), so no state is kept.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const words[] = { "invoice", "order", "paid", "customer",
	"delivery", "returned", "address", "unit", "price", "discount",
	"shipment", "pending", "account", "balance", "north", "south", "urgent",
	"repeat", "contract", "draft", "summer", "winter", "pallet", "carton",
	"express", "standard", "refund", "warehouse", "supplier", "catalogue",
	"season", "confirmed" };

/* SplitMix64's finalizer (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* The last day, up to `day`, on which this row was updated. */
static unsigned version(unsigned table, uint64_t row, unsigned day)
{
	for (unsigned d = day; d > 0; d--)
		if (mix(row * 31 + table * 7919 + (uint64_t)d * 104729) % 125 == 0)
			return d;
	return 0;
}

static void text(uint64_t seed, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		printf("%s%s", i ? " " : "", words[mix(seed + i) % 32]);
}

static void accounts(uint64_t rows, unsigned day)
{
	puts("COPY public.accounts (aid, bid, abalance, filler) FROM stdin;");
	for (uint64_t row = 1; row <= rows; row++) {
		unsigned v = version(1, row, day);
		int64_t balance = v ? (int64_t)(mix(row + v) % 10000) - 5000 : 0;

		printf("%" PRIu64 "\t%" PRIu64 "\t%" PRId64 "\t%84s\n", row,
		    row / 100000 + 1, balance, "");
	}
	puts("\\.\n");
}

static void orders(uint64_t rows, unsigned day)
{
	puts("COPY public.orders (id, reference, state, note) FROM stdin;");
	for (uint64_t row = 1; row <= rows; row++) {
		unsigned v = version(2, row, day);

		printf("%" PRIu64 "\t%016" PRIx64 "%016" PRIx64 "\t%s\t", row,
		    mix(row), mix(row + 1), words[mix(row + v) % 32]);
		text(row * 64, 4 + (unsigned)(mix(row) % 8));
		putchar('\n');
	}
	puts("\\.\n");
}

static void events(uint64_t rows)
{
	puts("COPY public.events (id, at, body) FROM stdin;");
	for (uint64_t row = 1; row <= rows; row++) {
		printf("%" PRIu64 "\t2026-%02" PRIu64 "-%02" PRIu64
		    " %02" PRIu64 ":%02" PRIu64 "\t{\"kind\": \"%s\", \"id\": "
		    "\"%08" PRIx64 "-%04" PRIx64 "\", \"by\": %" PRIu64 "}\n",
		    row, row / 400000 % 12 + 1, row / 14000 % 28 + 1,
		    row / 600 % 24, row / 10 % 60, words[mix(row) % 32],
		    mix(row * 3) >> 32, mix(row * 5) >> 48, mix(row * 7) % 5000);
	}
	puts("\\.\n");
}

int main(int argc, char **argv)
{
	static char buffer[1 << 20];
	uint64_t megabytes;
	unsigned day;

	if (argc != 3) {
		fprintf(stderr, "usage: gensql DAY MEGABYTES\n");
		return 2;
	}
	day = (unsigned)strtoul(argv[1], NULL, 10);
	megabytes = strtoull(argv[2], NULL, 10);
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));

	puts("--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n");
	/* 97, 98 and 91 bytes a row on average: 45, 30 and 25 %. */
	accounts(megabytes * 4640 * (1000 + day) / 1000, day);
	orders(megabytes * 3060 * (1000 + day) / 1000, day);
	events(megabytes * 2750 * (1000 + day) / 1000);
	puts("-- PostgreSQL database dump complete");
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
