// SPDX-License-Identifier: GPL-2.0
//
// A task that gives up leaves its request in flight, with a callback that wakes no
// task, and drops its own reference. The atlas' reference goes to the path that claims
// the request, so no reference has to be handed over.

@cancel@
identifier mid, i;
expression cancelled, credits;
@@
-if (mid[i]->mid_state == MID_REQUEST_SUBMITTED ||
-    mid[i]->mid_state == MID_RESPONSE_RECEIVED) {
-	mid[i]->callback = cifs_cancelled_callback;
+if (mid[i]->callback)
+	mid[i]->callback = cifs_compound_callback;
-	cancelled[i] = true;
-	credits[i].value = 0;
-}
 spin_unlock(&mid[i]->mid_lock);
+release_mid(server, mid[i]);
+cancelled[i] = true;

@cancelled_callback@
@@
-cifs_cancelled_callback(...) { ... }
