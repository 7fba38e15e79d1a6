resource "aws_cloudwatch_event_rule" "heartbeat" {
  count               = local.has_heartbeat ? 1 : 0
  name_prefix         = local.name_prefix
  description         = "Has ${var.function_name} try whether secrets still open their services."
  schedule_expression = var.heartbeat_schedule
  state               = "ENABLED"
}

resource "aws_cloudwatch_event_target" "heartbeat" {
  count     = local.has_heartbeat ? 1 : 0
  rule      = aws_cloudwatch_event_rule.heartbeat[0].name
  target_id = "function"
  arn       = aws_lambda_function.rotation.arn
  input     = jsonencode({ windlass = "heartbeat" })

  # These are attempts to hand the event to Lambda. By default it would still come a day late.
  retry_policy {
    maximum_retry_attempts       = 2
    maximum_event_age_in_seconds = 3600
  }
}

resource "aws_lambda_permission" "heartbeat" {
  count         = local.has_heartbeat ? 1 : 0
  function_name = aws_lambda_function.rotation.arn
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  # This rule, and no other of the account.
  source_arn = aws_cloudwatch_event_rule.heartbeat[0].arn
}
