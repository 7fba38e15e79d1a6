locals {
  queries = {
    "failed steps, and what to do"            = <<-EOT
      filter message in ["step failed", "heartbeat failed"]
      | display @timestamp, step, error_type, secret, plugin, cause, effect, retry, blame, error
      | sort @timestamp desc
      | limit 50
    EOT
    "slowest steps, and what they waited for" = <<-EOT
      filter message in ["step done", "step failed"]
      | fields duration_us / 1000 as total_ms, service_us / 1000 as service_ms, secrets_manager_us / 1000 as secrets_manager_ms
      | fields plugin_us / 1000 as plugin_ms, loading_us / 1000 as loading_ms, host_us / 1000 as host_ms
      | display @timestamp, step, secret, plugin, total_ms, service_ms, secrets_manager_ms, plugin_ms, loading_ms, host_ms, attempts
      | sort total_ms desc
      | limit 25
    EOT
    "rotations of one secret"                 = <<-EOT
      # Replace NAME by the secret's name or a part of it, or by its hash if the log names secrets so.
      filter message in ["step done", "step failed", "heartbeat"] and secret like "NAME"
      | display @timestamp, step, version, message, outcome, heartbeat, error_type, plugin, plugin_version, attempts, refused_logins, request_id
      | sort @timestamp asc
      | limit 200
    EOT
    "plugin digests in use"                   = <<-EOT
      filter message in ["step done", "step failed"] and ispresent(digest)
      | stats count(*) as steps, earliest(@timestamp) as first_used, latest(@timestamp) as last_used by plugin, plugin_version, digest, trusted_by
      | sort last_used desc
    EOT
    "what plugins said"                       = <<-EOT
      filter target = "plugin"
      | display @timestamp, level, plugin, span.step, span.secret, message
      | sort @timestamp desc
      | limit 200
    EOT
    "secrets that do not open their service"  = <<-EOT
      filter message = "heartbeat" and heartbeat in ["drift", "unreachable", "unclear"]
      | display @timestamp, heartbeat, secret, version, plugin, error_type, error
      | sort @timestamp desc
      | limit 100
    EOT
    "secrets that no heartbeat tested"        = <<-EOT
      filter message = "heartbeat" and heartbeat in ["skipped", "unclear"]
      | display @timestamp, secret, plugin, reason, error_type, error
      | sort @timestamp desc
      | limit 100
    EOT
  }

  # As the dashboard's tables take it: in one line, with the log group in it, and as part of a JSON text.
  tables = { for title, query in local.queries : title => jsonencode(
    "SOURCE '${aws_cloudwatch_log_group.function.name}' | ${replace(trimspace(query), "\n", " ")}"
  ) }
}

resource "aws_cloudwatch_query_definition" "saved" {
  for_each        = local.queries
  name            = "${var.function_name}/${each.key}"
  log_group_names = [aws_cloudwatch_log_group.function.name]
  query_string    = trimspace(each.value)
}

resource "aws_cloudwatch_dashboard" "function" {
  count          = var.dashboard ? 1 : 0
  dashboard_name = var.function_name
  dashboard_body = templatefile("${path.module}/dashboard.json.tftpl", {
    function_name = var.function_name
    region        = local.region
    timeout       = var.timeout
    alarms = jsonencode([for name in concat(["ErrorAlarm", "ThrottleAlarm", "DurationAlarm"], local.has_heartbeat ? [
      "HeartbeatDriftAlarm", "HeartbeatUnreachableAlarm", "HeartbeatUntestedAlarm", "HeartbeatMissingAlarm",
    ] : []) : "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.function_name}-${name}"])
    failed_steps = local.tables["failed steps, and what to do"]
    findings     = local.tables["secrets that do not open their service"]
    slowest      = local.tables["slowest steps, and what they waited for"]
  })
}
