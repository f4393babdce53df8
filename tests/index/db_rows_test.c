/*
 * What the database keeps: counters, resources, snapshots, packs, pins.
 */
#include "tests/index/db_fixture.h"

static void counters_never_repeat(void **state)
{
	struct fixture *f = *state;
	uint64_t a, b;
	uint32_t no;
	struct err err;

	must(db_next_serial(f->db, &a, &err), &err);
	assert_int_equal(1, a);
	db_close(f->db);
	f->db = second(f);
	must(db_next_serial(f->db, &b, &err), &err);
	assert_int_equal(2, b);
	must(db_begin(f->db, &err), &err);
	must(db_reserve(f->db, 10, 20, 30, &err), &err);
	must(db_reserve(f->db, 1, 1, 1, &err), &err);
	must(db_commit(f->db, &err), &err);
	must(db_next_serial(f->db, &a, &err), &err);
	must(db_next_session(f->db, &b, &err), &err);
	must(db_next_pack_no(f->db, &no, &err), &err);
	assert_int_equal(11, a);
	assert_int_equal(21, b);
	assert_int_equal(31, no);

	must(db_begin(f->db, &err), &err);
	must(db_reserve(f->db, 8388607, 0, UINT32_MAX, &err), &err);
	must(db_commit(f->db, &err), &err);
	assert_int_equal(ERR_INVALID, db_next_serial(f->db, &a, &err));
	assert_int_equal(ERR_INVALID, db_next_pack_no(f->db, &no, &err));
}

static void no_resource_lies_above_or_beneath_another(void **state)
{
	static const struct {
		const char *name;
		int rc;
	} cases[] = {
		{ "acme/web", 0 },
		{ "acme/web", ERR_EXISTS },
		{ "acme", ERR_INVALID },
		{ "acme/web/x", ERR_INVALID },
		{ "acme/web/x/y", ERR_INVALID },
		{ "acme/web2", 0 },
		{ "acme/web-2", 0 },
		{ "acme/we", 0 },
		{ "acme0", 0 },
		{ "acme-", 0 },
		{ "b/c/d/e", 0 },
		{ "b/c", ERR_INVALID },
		{ "b/c/d", ERR_INVALID },
		{ "b", ERR_INVALID },
		{ "", ERR_INVALID },
		{ "/a", ERR_INVALID },
		{ "a/", ERR_INVALID },
		{ "a//b", ERR_INVALID },
		{ "b/c/e", 0 },
	};
	struct fixture *f = *state;
	struct resource_row *rows, row;
	uint32_t no;
	size_t n;
	struct err err;

	must(db_begin(f->db, &err), &err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (db_resource_add(f->db, cases[i].name, 0, &no, &err) !=
		    cases[i].rc)
			fail_msg("%s", cases[i].name);
	must(db_resource_add(f->db, "given", 77, &no, &err), &err);
	assert_int_equal(77, no);
	must(db_resource_add(f->db, "after", 0, &no, &err), &err);
	assert_int_equal(78, no);
	assert_int_equal(ERR_EXISTS,
	    db_resource_add(f->db, "twice", 77, &no, &err));
	must(db_commit(f->db, &err), &err);

	must(db_resource_find(f->db, "given", &row, &err), &err);
	assert_int_equal(77, row.no);
	assert_int_equal(RESOURCE_LIVE, row.state);
	assert_string_equal("given", row.name);
	free(row.name);
	assert_int_equal(ERR_NOT_FOUND,
	    db_resource_find(f->db, "acme", &row, &err));

	must(db_resource_list(f->db, &rows, &n, &err), &err);
	assert_int_equal(10, n);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(rows[i - 1].name, rows[i].name) < 0);
	db_resources_free(rows, n);
}

static void snapshots_come_back_as_they_were_added(void **state)
{
	struct fixture *f = *state;
	struct snapshot_row row = { .serial = 5, .id = { "id of five" },
		.resource_no = 1, .time_ns = -3, .end_ns = INT64_MAX,
		.utc_offset = -3600, .n_files = 1, .n_dirs = 2, .n_other = 3,
		.n_bytes = INT64_MAX, .n_added = 5, .n_faults = 6 };
	struct snapshot_row got, *rows;
	uint8_t *record;
	uint32_t no;
	size_t n;
	struct err err;

	must(db_begin(f->db, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_snapshot_add(f->db, &row,
	    (const uint8_t *)"rec", 3, &err));
	must(db_resource_add(f->db, "a", 1, &no, &err), &err);
	must(db_resource_add(f->db, "b", 2, &no, &err), &err);
	must(db_snapshot_add(f->db, &row, (const uint8_t *)"rec", 3, &err),
	    &err);
	assert_int_equal(ERR_EXISTS, db_snapshot_add(f->db, &row,
	    (const uint8_t *)"rec", 3, &err));
	got = row;
	got.serial = 4;
	got.time_ns = 9;
	got.id.b[0] = 'x';
	must(db_snapshot_add(f->db, &got, NULL, 0, &err), &err);
	got.serial = 6;
	got.time_ns = -9;
	got.id.b[0] = 'y';
	got.resource_no = 2;
	must(db_snapshot_add(f->db, &got, NULL, 0, &err), &err);
	got.serial = 7;
	got.id.b[0] = 'z';
	got.n_bytes = UINT64_MAX;
	assert_int_equal(ERR_INVALID,
	    db_snapshot_add(f->db, &got, NULL, 0, &err));
	must(db_commit(f->db, &err), &err);

	must(db_snapshot_by_id(f->db, &row.id, &got, &err), &err);
	assert_int_equal(5, got.serial);
	assert_memory_equal(row.id.b, got.id.b, sizeof(row.id.b));
	assert_int_equal(row.time_ns, got.time_ns);
	assert_int_equal(row.end_ns, got.end_ns);
	assert_int_equal(row.utc_offset, got.utc_offset);
	assert_int_equal(row.n_files, got.n_files);
	assert_int_equal(row.n_dirs, got.n_dirs);
	assert_int_equal(row.n_other, got.n_other);
	assert_int_equal(row.n_bytes, got.n_bytes);
	assert_int_equal(row.n_added, got.n_added);
	assert_int_equal(row.n_faults, got.n_faults);

	/* The last is the last by serial, the list is by time. */
	must(db_snapshot_last(f->db, 1, &got, &err), &err);
	assert_int_equal(5, got.serial);
	must(db_snapshot_list(f->db, 1, &rows, &n, &err), &err);
	assert_int_equal(2, n);
	assert_int_equal(5, rows[0].serial);
	assert_int_equal(4, rows[1].serial);
	free(rows);
	must(db_snapshot_list(f->db, 0, &rows, &n, &err), &err);
	assert_int_equal(3, n);
	assert_int_equal(6, rows[0].serial);
	free(rows);
	assert_int_equal(ERR_NOT_FOUND,
	    db_snapshot_by_serial(f->db, 99, &got, &err));
	must(db_snapshot_record(f->db, 5, &record, &n, &err), &err);
	assert_int_equal(3, n);
	assert_memory_equal("rec", record, 3);
	free(record);
}

static void packs_and_tables_come_back_in_order_of_arrival(void **state)
{
	struct fixture *f = *state;
	struct pack_row want = pack_of(3), got, *rows;
	uint64_t seq;
	uint8_t *table;
	size_t n;
	struct err err;

	add_packs(f->db, 3, 3);
	add_packs(f->db, 1, 2);
	must(db_pack_list(f->db, 1, &rows, &n, &err), &err);
	assert_int_equal(2, n);
	assert_int_equal(1, rows[0].no);
	assert_int_equal(2, rows[0].seq);
	free(rows);
	must(db_pack_by_id(f->db, &want.id, &got, &err), &err);
	assert_int_equal(3, got.no);
	assert_int_equal(1, got.seq);
	assert_int_equal(want.size, got.size);
	assert_int_equal(want.n_blocks, got.n_blocks);
	assert_int_equal(want.n_chunks, got.n_chunks);
	assert_int_equal(want.session, got.session);
	must(db_pack_table(f->db, 2, &table, &n, &err), &err);
	assert_int_equal(5, n);
	free(table);
	assert_int_equal(ERR_NOT_FOUND,
	    db_pack_table(f->db, 9, &table, &n, &err));
	assert_int_equal(ERR_NOT_FOUND, db_pack_find(f->db, 9, &got, &err));

	/* The number of the last arrival stays when its pack goes. */
	tell(f, "PRAGMA foreign_keys = ON; DELETE FROM pack WHERE no = 2");
	must(db_pack_last_seq(f->db, &seq, &err), &err);
	assert_int_equal(3, seq);
	assert_int_equal(ERR_NOT_FOUND,
	    db_pack_table(f->db, 2, &table, &n, &err));
	must(db_begin(f->db, &err), &err);
	assert_int_equal(ERR_EXISTS, add_pack(f->db, 1, &err));
	db_abort(f->db);
}

static void a_pin_rescues_or_is_refused(void **state)
{
	struct session_row session = { .id = 4, .resource_no = 1,
		.started_ns = 5 };
	struct fixture *f = *state;
	struct session_row *rows;
	struct pack_row pack;
	uint32_t *nos;
	size_t n;
	struct err err;

	add_packs(f->db, 1, 4);
	tell(f, "UPDATE pack SET state = 1 WHERE no = 2;"
	        "UPDATE pack SET state = 2 WHERE no = 3;");
	must(db_begin(f->db, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_pin_add(f->db, 4, 1, &err));
	must(db_session_add(f->db, &session, &err), &err);
	must(db_pin_add(f->db, 4, 2, &err), &err);
	must(db_pin_add(f->db, 4, 1, &err), &err);
	must(db_pin_add(f->db, 4, 1, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_pin_add(f->db, 4, 3, &err));
	assert_int_equal(ERR_NOT_FOUND, db_pin_add(f->db, 4, 5, &err));
	must(db_commit(f->db, &err), &err);

	must(db_pack_find(f->db, 2, &pack, &err), &err);
	assert_int_equal(PACK_LIVE, pack.state);
	must(db_pack_find(f->db, 3, &pack, &err), &err);
	assert_int_equal(PACK_DELETING, pack.state);
	must(db_pin_list(f->db, 4, &nos, &n, &err), &err);
	assert_int_equal(2, n);
	assert_int_equal(1, nos[0]);
	assert_int_equal(2, nos[1]);
	free(nos);

	must(db_session_list(f->db, &rows, &n, &err), &err);
	assert_int_equal(1, n);
	assert_int_equal(4, rows[0].id);
	assert_int_equal(1, rows[0].resource_no);
	assert_int_equal(5, rows[0].started_ns);
	free(rows);
	must(db_begin(f->db, &err), &err);
	must(db_session_remove(f->db, 4, &err), &err);
	assert_int_equal(ERR_NOT_FOUND, db_session_remove(f->db, 4, &err));
	must(db_commit(f->db, &err), &err);
	must(db_pin_list(f->db, 4, &nos, &n, &err), &err);
	assert_int_equal(0, n);
	free(nos);
	assert_int_equal(ERR_NOT_FOUND,
	    db_session_find(f->db, 4, &session, &err));
}

static void a_check_finds_a_row_that_names_nothing(void **state)
{
	struct fixture *f = *state;
	struct err err;

	must(db_check(f->db, &err), &err);
	tell(f, "INSERT INTO pack_table VALUES (9, x'00')");
	assert_int_equal(ERR_CORRUPT, db_check(f->db, &err));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(counters_never_repeat),
		CASE(no_resource_lies_above_or_beneath_another),
		CASE(snapshots_come_back_as_they_were_added),
		CASE(packs_and_tables_come_back_in_order_of_arrival),
		CASE(a_pin_rescues_or_is_refused),
		CASE(a_check_finds_a_row_that_names_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
