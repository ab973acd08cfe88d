"""Owns the life of one route's connection: how it comes up, is replaced before it breaks, fails, and ends. Pure: no clock, no socket, no log.

Parts, in reading order:

``inputs``, ``actions``   what the machine is told, and what it wants done
``table``                 the rule: one row for each state, input and condition (``guards``), with what is done (``steps``)
``machine``               holds the state and runs the rows; ``memory`` is what it remembers, and the rotation under way
``policy``, ``closing``   the bounds and the reasons; with which code and words a line is closed
``schedule``              when each connection is due
``proof``                 has every active stream continued on the standby?
``record``                what a rotation leaves

The table, printed from the rows (``python -m k2workers.rotation``; a test compares):

.. begin table

state        input     if                              then         does
===========  ========  ==============================  ===========  =====================================================================
idle         Start     -                               connecting   begin_starving, open_primary
idle         Stop      -                               stopped      -
connecting   Advanced  of_primary                      connecting   renew_deadline
connecting   Opened    of_primary and primary_noticed  live         go_live, plan_next, ask_urgently
connecting   Opened    of_primary                      live         go_live, plan_next
connecting   Failed    of_primary                      backing_off  back_off
connecting   Closed    of_primary                      backing_off  tell_loss, back_off
connecting   Notice    of_primary                      connecting   remember_notice
connecting   Tick      expired                         backing_off  abandon_primary, back_off
connecting   Stop      -                               stopped      close_all
backing_off  Tick      expired                         connecting   open_primary
backing_off  Stop      -                               stopped      -
live         Tick      expired and primary_noticed     live         ask_urgently
live         Tick      expired                         live         ask_scheduled
live         Notice    of_primary and first_notice     live         remember_notice, ask_urgently
live         Wanted    -                               live         ask_as_wanted
live         Rotate    -                               warming      begin_rotation, open_standby
live         Closed    of_primary and stable           backing_off  withdraw, tell_loss, begin_starving, forget_attempts, back_off
live         Closed    of_primary and for_silence      backing_off  withdraw, tell_loss, begin_starving, forget_attempts, back_off
live         Closed    of_primary                      backing_off  withdraw, tell_loss, begin_starving, back_off
live         Stop      -                               stopped      withdraw, close_all
warming      Advanced  of_standby                      warming      renew_deadline
warming      Opened    of_standby and standby_noticed  overlap      begin_overlap, shorten_overlap
warming      Opened    of_standby                      overlap      begin_overlap
warming      Failed    of_standby and primary_noticed  live         keep_primary, end_rotation, hurry
warming      Failed    of_standby                      live         keep_primary, end_rotation
warming      Closed    of_standby and primary_noticed  live         tell_loss, keep_primary, end_rotation, hurry
warming      Closed    of_standby                      live         tell_loss, keep_primary, end_rotation
warming      Closed    of_primary                      connecting   tell_loss, begin_starving, rely_on_standby, end_rotation
warming      Notice    of_either                       warming      remember_notice
warming      Tick      expired and primary_noticed     live         abandon_standby, keep_primary, end_rotation, hurry
warming      Tick      expired                         live         abandon_standby, keep_primary, end_rotation
warming      Stop      -                               stopped      close_all, end_rotation
overlap      Tick      proven and standby_noticed      live         promote_proven, close_replaced, end_rotation, plan_next, ask_urgently
overlap      Tick      proven                          live         promote_proven, close_replaced, end_rotation, plan_next
overlap      Tick      expired and primary_noticed     live         close_standby, keep_primary, end_rotation, hurry
overlap      Tick      expired                         live         close_standby, keep_primary, end_rotation
overlap      Closed    of_standby and primary_noticed  live         tell_loss, keep_primary, end_rotation, hurry
overlap      Closed    of_standby                      live         tell_loss, keep_primary, end_rotation
overlap      Closed    of_primary and standby_noticed  live         tell_loss, promote_unproven, end_rotation, plan_next, ask_urgently
overlap      Closed    of_primary                      live         tell_loss, promote_unproven, end_rotation, plan_next
overlap      Notice    of_standby                      overlap      remember_notice, shorten_overlap
overlap      Notice    of_primary                      overlap      remember_notice
overlap      Stop      -                               stopped      close_all, end_rotation
===========  ========  ==============================  ===========  =====================================================================

.. end table
"""
