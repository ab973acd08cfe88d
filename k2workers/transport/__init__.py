"""Owns how batches get from workers to subscribers over ZeroMQ, and what survives whose death.

Parts, in reading order:

``bundle_protocol``            the messages between workers and the aggregator
``outbox``, ``kept_bundles``   a worker's end: what it keeps, and what it tells a new aggregator; ``latest_outbox`` keeps nothing
``inbox``, ``relay``           the aggregator's end: each bundle once, published, acknowledged when a checkpoint covers it
``ring``                       the newest frames that were published
``standing``, ``lives``        a subscriber's end, by topic: what is new, what is missing, across lives and numberings
``reassembly``, ``deliveries`` all topics: holes repaired from the ring, or lost by name; ``position`` is what a program saves
``plain_batches``              the very next batch of a topic, which nearly every one is, in one step
``items``, ``batches``         what of it a program has been given: an event or a batch at a time, or in columns (``columns``, ``column_reader``)
``book_wait``, ``book_reassembly``  a subscriber's whole books, without which changes of a book are of no use
``kept_books``                 the books of a program that wants them kept
``bundle_sender``, ``bundle_receiver``, ``publisher``, ``replay_server``, ``books_server``, ``subscriber``, ``subscriber_sockets``, ``published_socket``   their sockets
``levels_client``, ``topics_client``  one question to the books' port, or to the replay port, from any thread
``book_questions``             a subscriber's questions for whole books
``peer``, ``peer_watch``, ``request_reader``  what anybody who connects may do, and the end of a connection that does harm
``public_port``, ``request_port``, ``screen``  where they connect, how requests are served, and what stands before it once one has ended the process
``readers``, ``reader_report`` who reads, and how far behind
``disk_ring``                  what was published, for hours: files (``ring_segment``) of blocks (``ring_block``), and places in them (``ring_places``); ``disk_ring_server`` answers
``frame_keeper``               what the disk ring's own process takes: each batch once, in order, holes asked for
``away``, ``catch_up``, ``past_reassembly``  when a subscriber reads it, how, and what it then is given

``PROTOCOL.md`` next to this file tells whoever writes a subscriber in another language all that it needs.

Three rules hold everywhere:

* What a topic has is known by (numbering, venue id) alone. Our own numbers (of bundles, of batches) only tell, within one life of
  their maker, that something is missing on the way.
* Nothing is safe by time. A worker may drop what a written checkpoint covers; a subscriber may forget what its saved position covers.
* What cannot be had is named: by whoever notices it first, and by its ids where they are known.

The messages. Each link keeps the order of its messages and may end anywhere; nothing else is assumed of it.

=============  =======================  =====================================================================================
message        from, to                 says and promises
=============  =======================  =====================================================================================
HELLO          worker, aggregator       my oldest bundle has this number; before it each topic stood here, and that was acknowledged, or I lack
                                        something after it (``dropped_after``); these ids I still hope for; these numberings have begun in my
                                        life (``begun``), should their ``Reset`` be among what I lack
WELCOME        aggregator, worker       each topic stands here: a new lane goes on from there
BUNDLE         worker, aggregator       number n, after n - 1 and before n + 1; kept until acknowledged, as long as there is room for it
ACK            aggregator, worker       everything through number n is covered by a checkpoint that was written
HOLES          aggregator, worker       these ids of yours, of this numbering, never came, and were announced as missing: fetch them; told again
                                        with acknowledgements until they are not open any longer
PING           worker, aggregator       I am here, and n was my last bundle
CHALLENGE      aggregator, worker       I do not expect what you sent: say HELLO, and send again from your oldest bundle
publication    aggregator, subscribers  batch n of its topic in this life; may be lost on the way, and is then in the ring for a while
heartbeat      aggregator, subscribers  this life speaks; every subscription made before it is in force
SINCE          subscriber, aggregator   batches of a topic from n on, as far as the ring has them; answered with the first and newest it has
NEWEST         subscriber, aggregator   the newest numbers of topics: what a subscriber did not hear of
LAST           subscriber, aggregator   the last batch of topics, for one who joins late
READER         subscriber, aggregator   I am called so, and so much waits for me; told every few seconds, never answered
DISK           subscriber, aggregator   is there a disk ring? answered with yes or no
BOOK           subscriber, books        the whole books of topics, each as of batch n of this life: it stands for every batch up to n
LEVELS         subscriber, books        the best levels of one book as they are now; answered at once or not at all
=============  =======================  =====================================================================================

What is durable, where, and until when:

==========================  ====================  ===========================================================================
what                        where                 until
==========================  ====================  ===========================================================================
an event                    the venue             it is in a bundle; a trade or bar can be fetched again for long, a diff cannot
a bundle                    the worker            ACK; beyond the bound the oldest is dropped, and what it lacked is named (HELLO)
positions, gaps             the checkpoint file   the next one; it holds a moment two seconds old, so that frames could leave
open gaps                   worker, aggregator    filled, void or given up; each tells the other after a death (HELLO, WELCOME)
a frame                     the ring              the bound in bytes or seconds; it dies with the aggregator
a frame, for hours          the disk ring         its own bounds; after a loss of power its newest seconds may be missing
a whole book                books                 its process dies; the venue is asked again by the worker that serves the topic
a subscriber's place        its program           the program saves the next one
==========================  ====================  ===========================================================================

Deaths:

==========================  ================================================================================================
who dies                    what the others do, and what comes of it
==========================  ================================================================================================
worker                      the next life is told where topics stand (WELCOME), goes on from there, and asks REST for what lies between
aggregator                  the next life reads the checkpoint and answers bundles with CHALLENGE; workers say HELLO and send again what was
                            not acknowledged; subscribers find a new epoch, drop by id what they had, and name what ids show to be missing
checkpoint file             (or it cannot be written) nothing is acknowledged; workers keep up to their bound; HELLO alone tells where topics stood
subscriber                  its next life goes on from the position that it saved; the ring has what came meanwhile, or it is ``Lost``
books                       its next life names the books that it has, and the workers publish the others anew, for everybody; whoever
                            joins meanwhile is given changes without a book after a while, and the book as soon as there is one. Topics
                            that it made of books end with it; WELCOME names them to the next life, which says first that they are stale
link                        whoever missed a number notices: the aggregator by the next BUNDLE or PING, a subscriber by the next
                            publication or, after a heartbeat that was missed, by NEWEST
venue's ids                 (they begin anew) the worker sends a ``Reset``; all batches after it are of the next numbering, and whatever
                            comes of an earlier one is old, wherever it comes. Only a subscriber that finds a new epoch in an earlier
                            numbering doubts: if for ten seconds nothing comes of its own one or a later, the feed has lost its memory, and the
                            subscriber goes on with the feed's (``DOUBT`` in ``reassembly``)
==========================  ================================================================================================
"""
