#include "index/db_private.h"

/*
 * Schema version DB_SCHEMA.  The CHECK clauses keep what the columns hold
 * within the types of db.h, so that reading a row need not check it again.
 *
 * Tables of packs stand apart from the packs: a list of all packs then reads
 * a few pages, and not every table.
 */
const char db_schema[] =
    "CREATE TABLE meta ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " schema INTEGER NOT NULL,"
    " uuid BLOB NOT NULL CHECK (length(uuid) = 16)"
    ") STRICT;"
    "CREATE TABLE counter ("
    " name TEXT PRIMARY KEY,"
    " value INTEGER NOT NULL CHECK (value >= 0),"
    " most INTEGER NOT NULL CHECK (value <= most)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO counter VALUES"
    " ('serial', 0, 8388607),"
    " ('session', 0, 9223372036854775806),"
    " ('pack', 0, 4294967295),"
    " ('resource', 0, 4294967295),"
    " ('arrival', 0, 9223372036854775806),"
    " ('commit', 0, 9223372036854775806);"
    "CREATE TABLE resource ("
    " no INTEGER PRIMARY KEY CHECK (no BETWEEN 1 AND 4294967295),"
    " state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),"
    " name TEXT NOT NULL UNIQUE CHECK (name <> '')"
    ") STRICT;"
    "CREATE TABLE snapshot ("
    " serial INTEGER PRIMARY KEY CHECK (serial BETWEEN 1 AND 8388607),"
    " id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),"
    " resource_no INTEGER NOT NULL REFERENCES resource (no),"
    " time_ns INTEGER NOT NULL,"
    " end_ns INTEGER NOT NULL,"
    " utc_offset INTEGER NOT NULL"
    " CHECK (utc_offset BETWEEN -2147483648 AND 2147483647),"
    " n_files INTEGER NOT NULL CHECK (n_files >= 0),"
    " n_dirs INTEGER NOT NULL CHECK (n_dirs >= 0),"
    " n_other INTEGER NOT NULL CHECK (n_other >= 0),"
    " n_bytes INTEGER NOT NULL CHECK (n_bytes >= 0),"
    " n_added INTEGER NOT NULL CHECK (n_added >= 0),"
    " n_faults INTEGER NOT NULL CHECK (n_faults >= 0),"
    " record BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX snapshot_by_time ON snapshot (resource_no, time_ns);"
    "CREATE TABLE pack ("
    " no INTEGER PRIMARY KEY CHECK (no BETWEEN 1 AND 4294967295),"
    " seq INTEGER NOT NULL UNIQUE CHECK (seq >= 1),"
    " id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),"
    " kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 1),"
    " state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),"
    " size INTEGER NOT NULL CHECK (size >= 0),"
    " n_blocks INTEGER NOT NULL CHECK (n_blocks BETWEEN 0 AND 4294967295),"
    " n_chunks INTEGER NOT NULL CHECK (n_chunks BETWEEN 0 AND 4294967295),"
    " session INTEGER NOT NULL CHECK (session >= 0)"
    ") STRICT;"
    "CREATE TABLE pack_table ("
    " no INTEGER PRIMARY KEY REFERENCES pack (no) ON DELETE CASCADE,"
    " bytes BLOB NOT NULL"
    ") STRICT;"
    "CREATE TABLE session ("
    " id INTEGER PRIMARY KEY CHECK (id >= 1),"
    " resource_no INTEGER NOT NULL"
    " CHECK (resource_no BETWEEN 0 AND 4294967295),"
    " started_ns INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE pin ("
    " session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,"
    " pack_no INTEGER NOT NULL REFERENCES pack (no),"
    " PRIMARY KEY (session, pack_no)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX pin_by_pack ON pin (pack_no);";

#define SNAPSHOT_COLUMNS \
	"serial, id, resource_no, time_ns, end_ns, utc_offset, n_files," \
	" n_dirs, n_other, n_bytes, n_added, n_faults"
#define PACK_COLUMNS \
	"no, seq, id, kind, state, size, n_blocks, n_chunks, session"

const char *const db_sql[Q_COUNT] = {
	[Q_META] = "SELECT schema, uuid FROM meta",
	[Q_DATA_VERSION] = "PRAGMA data_version",
	[Q_INTEGRITY] = "PRAGMA integrity_check(1)",
	[Q_FOREIGN_KEYS] = "PRAGMA foreign_key_check",

	[Q_COUNTER_NEXT] = "UPDATE counter SET value = value + 1"
	                   " WHERE name = ?1 RETURNING value",
	[Q_COUNTER_RAISE] = "UPDATE counter SET value = max(value, ?2)"
	                    " WHERE name = ?1",
	[Q_COUNTER_GET] = "SELECT value FROM counter WHERE name = ?1",

	[Q_RESOURCE_FIND] = "SELECT no, state, name FROM resource"
	                    " WHERE name = ?1",
	/* '0' is the byte after '/'. */
	[Q_RESOURCE_BENEATH] = "SELECT no, state, name FROM resource"
	                       " WHERE name > ?1 || '/' AND name < ?1 || '0'"
	                       " ORDER BY name LIMIT 1",
	[Q_RESOURCE_ADD] = "INSERT INTO resource (no, state, name)"
	                   " VALUES (?1, 0, ?2)",
	[Q_RESOURCE_LIST] = "SELECT no, state, name FROM resource"
	                    " ORDER BY name",

	[Q_SNAPSHOT_ADD] = "INSERT INTO snapshot (" SNAPSHOT_COLUMNS ", record)"
	                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
	                   " ?11, ?12, ?13)",
	[Q_SNAPSHOT_LIST] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot"
	                    " WHERE resource_no = ?1"
	                    " ORDER BY time_ns, serial",
	[Q_SNAPSHOT_LIST_ALL] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot"
	                        " ORDER BY time_ns, serial",
	/* The plus keeps the planner on the index of one resource. */
	[Q_SNAPSHOT_LAST] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot"
	                    " WHERE resource_no = ?1"
	                    " ORDER BY +serial DESC LIMIT 1",
	[Q_SNAPSHOT_BY_ID] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot"
	                     " WHERE id = ?1",
	[Q_SNAPSHOT_BY_SERIAL] = "SELECT " SNAPSHOT_COLUMNS " FROM snapshot"
	                         " WHERE serial = ?1",
	[Q_SNAPSHOT_RECORD] = "SELECT record FROM snapshot WHERE serial = ?1",

	[Q_PACK_ADD] = "INSERT INTO pack (" PACK_COLUMNS ")"
	               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[Q_PACK_TABLE_ADD] = "INSERT INTO pack_table (no, bytes)"
	                     " VALUES (?1, ?2)",
	[Q_PACK_FIND] = "SELECT " PACK_COLUMNS " FROM pack WHERE no = ?1",
	[Q_PACK_BY_ID] = "SELECT " PACK_COLUMNS " FROM pack WHERE id = ?1",
	[Q_PACK_LIST] = "SELECT " PACK_COLUMNS " FROM pack WHERE seq > ?1"
	                " ORDER BY seq",
	[Q_PACK_TABLE] = "SELECT bytes FROM pack_table WHERE no = ?1",
	[Q_PACK_RESCUE] = "UPDATE pack SET state = 0 WHERE no = ?1"
	                  " AND state = 1",

	[Q_SESSION_ADD] = "INSERT INTO session (id, resource_no, started_ns)"
	                  " VALUES (?1, ?2, ?3)",
	[Q_SESSION_FIND] = "SELECT id, resource_no, started_ns FROM session"
	                   " WHERE id = ?1",
	[Q_SESSION_LIST] = "SELECT id, resource_no, started_ns FROM session"
	                   " ORDER BY id",
	[Q_SESSION_REMOVE] = "DELETE FROM session WHERE id = ?1",
	[Q_PIN_ADD] = "INSERT OR IGNORE INTO pin (session, pack_no)"
	              " VALUES (?1, ?2)",
	[Q_PIN_LIST] = "SELECT pack_no FROM pin WHERE session = ?1"
	               " ORDER BY pack_no",
};
