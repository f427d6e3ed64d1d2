// The page to search with: each subject has its file.

import { begin as ask } from "./ask.js";
import { begin as box } from "./box.js";
import { begin as drag } from "./drag.js";
import { begin as hits } from "./hits.js";
import { begin as large } from "./large.js";
import { begin as narrow } from "./narrow.js";

for (const begin of [ask, box, drag, large, hits, narrow]) begin();
