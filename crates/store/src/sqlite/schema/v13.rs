//! What partner topics need. Their events are records of the log.

pub(super) const V13: &str = "
    CREATE TABLE topic (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        partition INTEGER NOT NULL,
        tenant BLOB NOT NULL,
        azure_subscription BLOB NOT NULL,
        resource_group TEXT NOT NULL, -- in lower case, as all names here
        region TEXT NOT NULL,
        name TEXT NOT NULL,
        takes_events INTEGER NOT NULL,
        dropped INTEGER NOT NULL DEFAULT 0,
        state BLOB NOT NULL -- JSON, sealed
    ) STRICT;
    CREATE UNIQUE INDEX topic_by_id ON topic (id);
    CREATE UNIQUE INDEX topic_by_name ON topic (name, region);
    CREATE UNIQUE INDEX topic_by_path ON topic (azure_subscription, resource_group, name);
    CREATE INDEX topic_by_partition ON topic (partition);

    CREATE TABLE topic_app (
        tenant BLOB NOT NULL,
        app BLOB NOT NULL,
        topic BLOB NOT NULL,
        PRIMARY KEY (tenant, app, topic)
    ) STRICT, WITHOUT ROWID;

    -- The events that topics keep. The log's floor does not pass them.
    CREATE TABLE topic_event (
        partition INTEGER NOT NULL,
        topic BLOB NOT NULL,
        position INTEGER NOT NULL,
        published INTEGER NOT NULL,
        key BLOB NOT NULL, -- hashed from source and id
        PRIMARY KEY (partition, topic, position)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX topic_event_once ON topic_event (partition, topic, key);

    CREATE TABLE event_subscription (
        number INTEGER PRIMARY KEY,
        topic BLOB NOT NULL,
        name TEXT NOT NULL, -- in lower case
        cursor INTEGER NOT NULL, -- up to there the topic's events were considered
        matched INTEGER NOT NULL DEFAULT 0,
        acknowledged INTEGER NOT NULL DEFAULT 0,
        dead_lettered INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        unread INTEGER NOT NULL DEFAULT 0,
        state BLOB NOT NULL -- JSON, sealed
    ) STRICT;
    CREATE UNIQUE INDEX event_subscription_by_name ON event_subscription (topic, name);

    -- What was received and is not settled, and dead letters.
    CREATE TABLE event_pending (
        subscription INTEGER NOT NULL, -- its number
        position INTEGER NOT NULL,
        delivery_count INTEGER NOT NULL,
        first_received INTEGER NOT NULL,
        hold INTEGER NOT NULL, -- 0: locked, 1: released, from 2 on: a dead letter, for this reason
        at INTEGER NOT NULL, -- locked until, released from, or dead since
        PRIMARY KEY (subscription, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX event_pending_due ON event_pending (subscription, at, position) WHERE hold < 2;
";
