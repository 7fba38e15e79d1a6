/** For unit tests: node --import PATH/sdk/js/register.js --test FOLDER. The contract's imports become those of a scene. */
import { register } from "node:module";

register("./resolve.js", import.meta.url);
