resource "aws_cloudwatch_event_rule" "failed_rotations" {
  name_prefix = local.name_prefix
  description = "Rotations of secrets that failed or were abandoned. Needs a trail that logs management events."
  event_pattern = jsonencode({
    source = ["aws.secretsmanager"]
    # Secrets Manager itself says so, nobody calls an API: "AWS API Call via CloudTrail" would never match.
    detail-type = ["AWS Service Event via CloudTrail"]
    detail = {
      eventSource = ["secretsmanager.amazonaws.com"]
      eventName   = ["RotationFailed", "RotationAbandoned", "TestRotationFailed"]
    }
  })
}

resource "aws_cloudwatch_event_target" "failed_rotations" {
  rule      = aws_cloudwatch_event_rule.failed_rotations.name
  target_id = "topic"
  arn       = local.topic
}

resource "aws_sns_topic" "failures" {
  count             = local.makes_topic ? 1 : 0
  name_prefix       = local.name_prefix
  kms_master_key_id = var.alarm_topic_kms_key_arn == "" ? null : var.alarm_topic_kms_key_arn
}

resource "aws_sns_topic_policy" "failures" {
  count = local.makes_topic ? 1 : 0
  arn   = aws_sns_topic.failures[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "FailedRotations"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.failures[0].arn
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.failed_rotations.arn } }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.failures[0].arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:*" }
        }
      },
    ]
  })
}

locals {
  # What differs between the alarms that look at one metric.
  alarms = merge(
    {
      ErrorAlarm = {
        description = "A step of a rotation failed in ${var.function_name}. Secrets Manager repeats the rotation; the log says why it failed and what to do."
        namespace   = "AWS/Lambda"
        metric      = "Errors"
      }
      ThrottleAlarm = {
        description = "Lambda throttled ${var.function_name}, which fails a step. Raise the concurrency of the account or lower the reserved one of others."
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
      }
    },
    { for name, alarm in {
      HeartbeatDriftAlarm = {
        description = "A service does not accept a credential that Secrets Manager hands out as AWSCURRENT. The log of ${var.function_name} says of which secret."
        namespace   = "Windlass"
        metric      = "HeartbeatDrift"
        period      = var.heartbeat_alarm_period
      }
      HeartbeatUnreachableAlarm = {
        description = "${var.function_name} did not reach a service in two periods in a row, so that the next rotation will fail. Its log says which."
        namespace   = "Windlass"
        metric      = "HeartbeatUnreachable"
        period      = var.heartbeat_alarm_period
        periods     = 2
      }
      HeartbeatMissingAlarm = {
        description = "${var.function_name} has finished no heartbeat in two periods in a row. Look at its log and at the EventBridge rule."
        namespace   = "Windlass"
        metric      = "HeartbeatDuration"
        statistic   = "SampleCount"
        period      = var.heartbeat_alarm_period
        periods     = 2
        comparison  = "LessThanThreshold"
        missing     = "breaching"
      }
    } : name => alarm if local.has_heartbeat },
  )
}

resource "aws_cloudwatch_metric_alarm" "one_metric" {
  for_each            = local.alarms
  alarm_name          = "${var.function_name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.rotation.function_name }
  statistic           = lookup(each.value, "statistic", "Sum")
  period              = lookup(each.value, "period", 300)
  evaluation_periods  = lookup(each.value, "periods", 1)
  threshold           = 1
  comparison_operator = lookup(each.value, "comparison", "GreaterThanOrEqualToThreshold")
  # A function that nobody invokes has no data.
  treat_missing_data = lookup(each.value, "missing", "notBreaching")
  alarm_actions      = [local.topic]
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  alarm_name          = "${var.function_name}-DurationAlarm"
  alarm_description   = "A step took more than 80 % of the timeout of ${var.function_name}. Raise the timeout, or find out in the log what it waited for."
  evaluation_periods  = 1
  threshold           = 80
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic]

  metric_query {
    id          = "longest"
    return_data = false
    metric {
      namespace   = "AWS/Lambda"
      metric_name = "Duration"
      dimensions  = { FunctionName = aws_lambda_function.rotation.function_name }
      period      = 300
      stat        = "Maximum"
    }
  }

  # The metric is in milliseconds, the timeout in seconds.
  metric_query {
    id          = "percent"
    label       = "Longest step, % of the timeout"
    expression  = "longest / ${var.timeout} / 10"
    return_data = true
  }
}

resource "aws_cloudwatch_metric_alarm" "untested" {
  count               = local.has_heartbeat ? 1 : 0
  alarm_name          = "${var.function_name}-HeartbeatUntestedAlarm"
  alarm_description   = "In three periods in a row ${var.function_name} could not test some secret. Its log says which, and why."
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic]

  # One whose rotation is under way is skipped, too: three in a row are no coincidence where heartbeats keep clear of rotations.
  dynamic "metric_query" {
    for_each = { unclear = "HeartbeatUnclear", skipped = "HeartbeatSkipped" }
    content {
      id          = metric_query.key
      return_data = false
      metric {
        namespace   = "Windlass"
        metric_name = metric_query.value
        dimensions  = { FunctionName = aws_lambda_function.rotation.function_name }
        period      = var.heartbeat_alarm_period
        stat        = "Sum"
      }
    }
  }

  metric_query {
    id          = "untested"
    expression  = "unclear + skipped"
    return_data = true
  }
}
