;; A plugin whose steps are there, of the right types, and do nothing. Its types have the shape that wit-component gives them: an
;; exported function may name exported types only, so a component inside renames them.
(component
  (import "windlass:rotation/failures@0.1.0" (instance $failures
    (type $cause-enum (enum "unauthorized" "unreachable" "rejected" "rate-limited" "not-yet-effective" "conflict" "malformed-secret"
      "denied" "unsupported" "internal"))
    (export "cause" (type $cause (eq $cause-enum)))
    (type $effect-enum (enum "unchanged" "changed" "unknown"))
    (export "effect" (type $effect (eq $effect-enum)))
    (type $failure-record (record (field "cause" $cause) (field "effect" $effect) (field "message" string)))
    (export "failure" (type (eq $failure-record)))))
  (import "windlass:rotation/random@0.1.0" (instance
    (export "generate" (func (param "count" u32) (result (list u8))))))
  (core module $code
    (memory (export "memory") 1)
    ;; 16 is where an answer begins that is all zeros: `changed`, `accepted`.
    (func (export "step") (result i32) (i32.const 16)))
  (core instance $core (instantiate $code))
  (alias core export $core "memory" (core memory $memory))
  (alias export $failures "failure" (type $failure))
  (type $outcome (enum "changed" "unchanged"))
  (type $verdict (enum "accepted"))
  (func $set-secret (result (result $outcome (error $failure))) (canon lift (core func $core "step") (memory $memory)))
  (func $test-secret (result (result $verdict (error $failure))) (canon lift (core func $core "step") (memory $memory)))
  (alias export $failures "cause" (type $cause))
  (alias export $failures "effect" (type $effect))
  (component $named
    (type $cause-enum (enum "unauthorized" "unreachable" "rejected" "rate-limited" "not-yet-effective" "conflict" "malformed-secret"
      "denied" "unsupported" "internal"))
    (import "cause" (type $cause (eq $cause-enum)))
    (type $effect-enum (enum "unchanged" "changed" "unknown"))
    (import "effect" (type $effect (eq $effect-enum)))
    (type $failure-record (record (field "cause" $cause) (field "effect" $effect) (field "message" string)))
    (import "failure" (type $failure (eq $failure-record)))
    (type $outcome-enum (enum "changed" "unchanged"))
    (import "outcome" (type $outcome (eq $outcome-enum)))
    (type $verdict-enum (enum "accepted"))
    (import "verdict" (type $verdict (eq $verdict-enum)))
    (import "set" (func $set (result (result $outcome (error $failure)))))
    (import "test" (func $test (result (result $verdict (error $failure)))))
    (export $failure-out "failure" (type $failure))
    (export $outcome-out "outcome" (type $outcome-enum))
    (export $verdict-out "verdict" (type $verdict-enum))
    (export "set-secret" (func $set) (func (result (result $outcome-out (error $failure-out)))))
    (export "test-secret" (func $test) (func (result (result $verdict-out (error $failure-out))))))
  (instance $rotator (instantiate $named
    (with "cause" (type $cause))
    (with "effect" (type $effect))
    (with "failure" (type $failure))
    (with "outcome" (type $outcome))
    (with "verdict" (type $verdict))
    (with "set" (func $set-secret))
    (with "test" (func $test-secret))))
  (export "windlass:rotation/rotator@0.1.0" (instance $rotator))
  (@custom "windlass:manifest" "name = \"steps\"\nversion = \"1.0.0\"\n"))
