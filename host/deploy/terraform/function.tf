data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # Composed and not read from the function: the role needs it before the function is there.
  function_arn = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.function_name}"

  # AWS takes 38 characters at most for the beginning of a name.
  name_prefix = "${substr(var.function_name, 0, 37)}-"

  in_vpc              = length(var.vpc_subnet_ids) > 0
  makes_group         = local.in_vpc && length(var.vpc_security_group_ids) == 0
  has_heartbeat       = var.heartbeat_schedule != ""
  makes_topic         = var.alarm_topic_arn == ""
  topic               = local.makes_topic ? aws_sns_topic.failures[0].arn : var.alarm_topic_arn
  security_group_ids  = local.makes_group ? [aws_security_group.function[0].id] : var.vpc_security_group_ids
  has_admin_key       = length(var.master_secret_arn) > 0 && length(var.master_secret_kms_key_arn) > 0
  has_plugin_key      = var.plugin_bucket != "" && var.plugin_kms_key_arn != ""
  may_have_interfaces = local.in_vpc || var.network_interface_permissions == "always"
}

resource "aws_lambda_function" "rotation" {
  function_name    = var.function_name
  description      = "Rotates secrets of AWS Secrets Manager (Windlass)"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  memory_size      = var.memory_size
  timeout          = var.timeout
  role             = aws_iam_role.function.arn
  # No reserved concurrency: Secrets Manager needs ten at least, and a throttled step is a failed one. No dead-letter queue: Secrets Manager
  # repeats a rotation by itself, and a lost heartbeat is followed by the next one, so that nobody would read it.
  layers = length(var.layer_arns) > 0 ? var.layer_arns : null

  environment {
    variables = merge(
      { WINDLASS_LOG = var.log_level },
      var.endpoint == "" ? {} : { SECRETS_MANAGER_ENDPOINT = var.endpoint },
      var.exclude_characters == "" ? {} : { EXCLUDE_CHARACTERS = var.exclude_characters },
    )
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function.name
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []
    content {
      subnet_ids         = var.vpc_subnet_ids
      security_group_ids = local.security_group_ids
    }
  }

  # As AWS's application tags its functions.
  tags = { SecretsManagerLambda = "Rotation" }

  # Lambda refuses a VPC until the role may have network interfaces.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_permission" "secrets_manager" {
  function_name = aws_lambda_function.rotation.arn
  action        = "lambda:InvokeFunction"
  principal     = var.invoking_service_principal
  # Without it a secret of any account could have itself rotated by this function.
  source_account = local.account
}

resource "aws_lambda_function_event_invoke_config" "function" {
  function_name = aws_lambda_function.rotation.function_name
  qualifier     = "$LATEST"
  # Lambda would run a failed heartbeat twice more within minutes: more refused logins for nothing, as the next heartbeat comes anyway. The
  # same holds for any event that somebody sends asynchronously, so that it does not depend on a schedule.
  maximum_retry_attempts = 0
  # An event that Lambda could not run for so long says nothing about now.
  maximum_event_age_in_seconds = 3600
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${var.function_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn == "" ? null : var.log_kms_key_arn
  # The log of a function that is gone may be the only trace of what it did.
  skip_destroy = true
}
