/* The aggregator's plain case: bundles whose batches simply continue their topics, from their bytes to the frames that are published.
 *
 * The caller says where each topic stands (``publish_arm``). From then on the bundles of a turn are taken, one by one, and at its end
 * each topic's batches become one frame. A bundle with anything else in it, or of any other form than a worker writes, is not taken: then
 * nothing of its turn is, and whoever knows all the rules takes the whole turn and says again where its topics stand. So nothing here
 * decides what is doubtful, and every place is either that of the last turn or undone.
 *
 * Plain C: no Python, no clock, no input or output. Every length is bounded by the bundle that the caller gives.
 */
#ifndef K2_PUBLISH_H
#define K2_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

/* How a topic's batches follow each other. */
enum publish_rule {
    PUBLISH_CHAIN = 0,  /* the first id is the last one before it plus one */
    PUBLISH_RISING = 1, /* the first id is above the last one before it */
    PUBLISH_BAR = 2,    /* the last id is not below the one before it: an id has many states */
    PUBLISH_ANY = 3,    /* ids say nothing */
};

/* Why a bundle is not taken. */
enum publish_why {
    PUBLISH_TAKEN = 0,
    PUBLISH_FORM = 1,   /* it is written otherwise than a worker writes, or damaged */
    PUBLISH_SCHEMA = 2, /* a batch is not of data that come in time, or of another type than those before it in this turn */
    PUBLISH_TOPIC = 3,  /* where a batch's topic stands is not known here, or it continues in another way */
    PUBLISH_ORDER = 4,  /* a batch is not simply the next of its topic */
    PUBLISH_MEMORY = 5, /* there is no room to take it */
};

/* Schemas are below this number. */
#define PUBLISH_MAX_SCHEMA 1000

/* A topic's name is not longer. */
#define PUBLISH_MAX_NAME 1024

struct publish;

struct publish_place {
    enum publish_rule rule;
    int64_t last_id;
    uint64_t sequence; /* of the last batch that was published */
    uint16_t continuity;
};

/* A frame that is due. */
struct publish_frame {
    uint32_t topic;
    uint64_t sequence;
    size_t size;
};

/* What became of a topic since the last settlement. */
struct publish_account {
    uint32_t topic;
    int64_t last_id;
    uint64_t sequence;
    uint64_t passed;      /* events */
    int64_t lowest;       /* first id of a batch */
    const uint8_t *bars;  /* MessagePack of the newest batch, of a topic of bars; NULL if none came */
    size_t bars_size;
    uint32_t bars_schema, bars_count;
    int64_t bars_first, bars_last;
};

struct publish *publish_new(void); /* NULL without memory */
void publish_free(struct publish *publish);

/* Schemas of data; any other batch is not plain. -1 if it is out of bounds. */
int publish_add_schema(struct publish *publish, uint32_t schema);

/* Say where a topic stands; its number, counted from 0 in the order of the first calls, or -1: without memory, or too long a name. Only
 * between two turns. */
int64_t publish_arm(struct publish *publish, const uint8_t *name, size_t length, const struct publish_place *place);
/* From now on it is not known. */
void publish_block(struct publish *publish, const uint8_t *name, size_t length);

/* Take a bundle, whose bytes must stay until ``publish_done`` or ``publish_undo``. If it is not taken, everything since the last
 * ``publish_done`` is undone. */
enum publish_why publish_take(struct publish *publish, const uint8_t *bundle, size_t size);
void publish_undo(struct publish *publish);

/* The frames of this turn, in the order in which their topics came: how many; ``at`` counts from 0. */
uint32_t publish_count(const struct publish *publish);
void publish_frame(const struct publish *publish, uint32_t at, struct publish_frame *frame);
/* ``to`` has room for the frame's size. */
void publish_write(const struct publish *publish, uint32_t at, uint64_t epoch, uint64_t publish_ns, uint8_t *to);
/* They are published: topics stand behind them. */
void publish_done(struct publish *publish);

/* Topics that were published since the last settlement: how many. Read them with ``publish_account``, then ``publish_settled``. */
uint32_t publish_account_count(const struct publish *publish);
void publish_account(const struct publish *publish, uint32_t at, struct publish_account *account);
void publish_settled(struct publish *publish);

#endif
