/* The native lane: plain messages of a connection, from the receive buffer to the bytes of a bundle, in one call a read.
 *
 * It knows no venue. What a message looks like is a *shape*: literals and fields in the order in which they are written. What is
 * not byte for byte of its stream's shape, or not simply the next event of its topic, stops the lane in front of that message:
 * Python judges it, and the lane goes on behind it. So nothing here decides what is doubtful.
 *
 * Plain C: no Python, no clock, no input or output. Every length is bounded by the buffer that the caller gives.
 */
#ifndef K2_LANE_H
#define K2_LANE_H

#include <stddef.h>
#include <stdint.h>

/* So many bytes behind what the caller filled may be read (never used): see number and decimal scanning. */
#define LANE_SLACK 64

#define LANE_MAX_ITEMS 64
#define LANE_MAX_FIELDS 32
#define LANE_MAX_DECIMAL 40

/* What an item of a shape is. Texts stand between quotes that belong to the literals around them. */
enum lane_item_type {
    ITEM_LITERAL = 0,     /* these bytes */
    ITEM_SYMBOL = 1,      /* the stream's symbol */
    ITEM_ID = 2,          /* a whole number of 0 to 2^63 - 1 */
    ITEM_TIME = 3,        /* the same within bounds; as an event has it, times a unit */
    ITEM_FLAG = 4,        /* true or false */
    ITEM_SKIPPED_FLAG = 5, /* true or false, which no event has */
    ITEM_DECIMAL = 6,     /* digits, perhaps with a point between: at most LANE_MAX_DECIMAL characters */
    ITEM_LEVELS = 7,      /* a JSON array of pairs of such decimals */
    ITEM_PREDECESSOR = 8, /* an id; as an event has it, the one after it */
};

struct lane_item {
    enum lane_item_type type;
    int slot; /* where the value goes; -1 for none */
    const uint8_t *literal;
    uint32_t length;
    uint64_t low, high, unit; /* of a time */
};

/* How a topic's events follow each other. */
enum lane_rule {
    RULE_CHAIN = 0,  /* the first id is the last one before it plus one */
    RULE_RISING = 1, /* the id is above the one before it, by at most ``reach`` */
};

/* Why the lane stopped. */
enum lane_stop {
    STOP_END = 0,    /* everything is taken, or the rest is not whole yet */
    STOP_FRAME = 1,  /* the next frame is no plain message: whoever knows the protocol must take it */
    STOP_ASK = 2,    /* the next message is of a topic whose place the lane does not know: ``lane_arm`` or ``lane_block`` it,
                         and nothing else, and take again from ``stopped_at`` */
    STOP_SPAN = 3,   /* the messages up to ``span_end`` are Python's */
};

/* Why a message is Python's. */
enum lane_why {
    WHY_SHAPE = 0,  /* it is written otherwise, or its values cannot be */
    WHY_STREAM = 1, /* of no stream that the lane knows */
    WHY_TOPIC = 2,  /* its topic has more to judge than the next id */
    WHY_ORDER = 3,  /* it is not simply the next event of its topic */
    WHY_COUNT = 4,
};

struct lane;

struct lane_shape_spec {
    const struct lane_item *items;
    int item_count;
    const int *fields; /* of an event, in order: a slot, or -1 for the time of the read */
    int field_count;
    int first_id, last_id; /* slots */
    int made;              /* slot of the time when the venue made it; -1 if none tells */
    int venue_time;        /* slot of the time by which latency is measured; -1 */
    int link_first, link_last; /* slots of ids that join one event to the next; -1 */
};

struct lane_stream_spec {
    const uint8_t *name;
    size_t name_length;
    const uint8_t *symbol;
    size_t symbol_length;
    const uint8_t *topic;
    size_t topic_length;
    uint32_t topic_index;
    uint32_t kind;
    int shape;
    uint32_t schema;
};

/* Only of a topic of which nothing is missing: what was taken may have been lost later, and comes to fill a gap then. */
/* What the venue made no later than the newest event. */
#define DROP_OLDER 1
/* What is remembered (``lane_remember``): also only if nothing behind the topic's place is in doubt, for Python looks at copies as well. */
#define DROP_SAME 2

#define LINK_NONE (-2)

/* Where a topic stands; -1 for what is not known. */
struct lane_place {
    enum lane_rule rule;
    int64_t last_id;
    int64_t reach;
    int64_t made;       /* when the venue made the newest event */
    int64_t link;       /* the last linked id of the newest event; LINK_NONE where events need not join by it */
    uint32_t continuity;
    int drop_copies;    /* which copies may be dropped here: DROP_OLDER, DROP_SAME, both, or none (0) */
};

struct lane_read {
    enum lane_stop stop;
    size_t stopped_at;
    size_t span_end;
    uint32_t frames;      /* taken */
    uint32_t topic_index; /* of STOP_ASK */
    int64_t newest_ns;    /* the venue's time of the last event taken that has one; 0 */
    size_t bundle_size;   /* 0: nothing to send */
};

/* What became of a topic since ``lane_settled`` was called last. */
struct lane_account {
    uint32_t topic_index;
    int64_t last_id;
    uint64_t passed, duplicates;
    int64_t heard_ns;
    const uint8_t *newest; /* MessagePack of the newest event; NULL if none was taken. Valid until the next read. */
    size_t newest_size;
};

/* All return NULL, or -1, without memory or for what is out of bounds. */
struct lane *lane_new(const uint8_t *prefix, size_t length);
void lane_free(struct lane *lane);
int lane_add_shape(struct lane *lane, const struct lane_shape_spec *spec);
int lane_add_stream(struct lane *lane, const struct lane_stream_spec *spec);

int lane_arm(struct lane *lane, uint32_t topic_index, const struct lane_place *place);
int lane_block(struct lane *lane, uint32_t topic_index);
/* Whether a second line may bring again what was taken: then exactly the same event, taken a short while ago, is known for a copy. */
void lane_remember(struct lane *lane, int remember);

/* Take the messages in ``data`` from ``begin`` to ``filled``. At least LANE_SLACK bytes behind ``filled`` may be read.
 * Then ``lane_write`` the bundle, if there is one, before anything else is asked of the lane. */
int lane_take(struct lane *lane, const uint8_t *data, size_t begin, size_t filled, int64_t received_ns, int64_t now_ns,
              struct lane_read *read);
void lane_write(struct lane *lane, uint8_t *to);

/* Topics of the last read with the first and the last id that came, copies too: how many; ``at`` counts from 0. */
uint32_t lane_touched_count(const struct lane *lane);
void lane_touched(const struct lane *lane, uint32_t at, uint32_t *topic_index, int64_t *first_id, int64_t *last_id);

/* Topics that were touched since the last settlement: how many. Read them with ``lane_account``, then ``lane_settled``: from then on
 * the lane knows no topic's place, unless it is to ``keep`` them because nobody changes anything. */
uint32_t lane_account_count(const struct lane *lane);
void lane_account(const struct lane *lane, uint32_t at, struct lane_account *account);
void lane_settled(struct lane *lane, int keep);
/* The same for one topic: whether it was touched. */
int lane_settle_one(struct lane *lane, uint32_t topic_index, struct lane_account *account);

/* Messages so far: taken here, and left to Python by why, of a kind. */
#define LANE_MAX_KINDS 64
uint64_t lane_taken(const struct lane *lane, uint32_t kind);
uint64_t lane_left(const struct lane *lane, uint32_t kind, enum lane_why why);

#endif
