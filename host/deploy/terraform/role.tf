resource "aws_iam_role" "function" {
  name_prefix          = local.name_prefix
  path                 = var.role_path
  permissions_boundary = var.permissions_boundary_arn == "" ? null : var.permissions_boundary_arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Lambda"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

locals {
  secrets = length(var.secret_arn_patterns) > 0 ? var.secret_arn_patterns : [
    "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:*",
  ]
  via_secrets_manager = "secretsmanager.${local.region}.${data.aws_partition.current.dns_suffix}"
  plugins             = "arn:${local.partition}:s3:::${var.plugin_bucket}"
  interface_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
  ]
}

resource "aws_iam_role_policy" "function" {
  name = "windlass"
  role = aws_iam_role.function.id
  # Statement by statement that of template.yaml; the tests compare them. host/deploy/README.md says what each is for.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "RotateOwn"
          Effect   = "Allow"
          Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
          Resource = local.secrets
          # The secret's own rotation function, compared as text: without version or alias.
          Condition = { StringEquals = { "secretsmanager:resource/AllowRotationLambdaArn" = local.function_arn } }
        },
        {
          Sid      = "PromoteOwn"
          Effect   = "Allow"
          Action   = ["secretsmanager:UpdateSecretVersionStage"]
          Resource = local.secrets
          Condition = {
            StringEquals = {
              "secretsmanager:resource/AllowRotationLambdaArn" = local.function_arn
              "secretsmanager:VersionStage"                    = "AWSCURRENT"
            }
          }
        },
      ],
      [for _ in range(length(var.kms_key_arn) > 0 ? 1 : 0) : {
        Sid      = "UseKeysOfOwn"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
        Condition = {
          StringEquals = { "kms:ViaService" = local.via_secrets_manager }
          StringLike   = { "kms:EncryptionContext:SecretARN" = local.secrets }
        }
      }],
      [for _ in range(length(var.master_secret_arn) > 0 ? 1 : 0) : {
        Sid       = "ReadAdminSecrets"
        Effect    = "Allow"
        Action    = ["secretsmanager:GetSecretValue"]
        Resource  = var.master_secret_arn
        Condition = { StringEquals = { "secretsmanager:VersionStage" = "AWSCURRENT" } }
      }],
      [for _ in range(local.has_admin_key ? 1 : 0) : {
        Sid      = "UseKeysOfAdminSecrets"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = var.master_secret_kms_key_arn
        Condition = {
          StringEquals = { "kms:ViaService" = local.via_secrets_manager }
          StringLike   = { "kms:EncryptionContext:SecretARN" = var.master_secret_arn }
        }
      }],
      [for _ in range(var.plugin_bucket != "" ? 1 : 0) : {
        Sid      = "ReadPlugins"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = ["${local.plugins}/${var.plugin_prefix}*"]
      }],
      [for _ in range(local.has_plugin_key ? 1 : 0) : {
        Sid      = "UseKeyOfPlugins"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.plugin_kms_key_arn]
        Condition = {
          StringEquals = { "kms:ViaService" = "s3.${local.region}.${data.aws_partition.current.dns_suffix}" }
          # The object, or with a bucket key the bucket.
          StringLike = { "kms:EncryptionContext:aws:s3:arn" = [local.plugins, "${local.plugins}/${var.plugin_prefix}*"] }
        }
      }],
      # Cannot be confined to secrets. It shows names, tags and labels of others, no values.
      [for _ in range(local.has_heartbeat ? 1 : 0) : {
        Sid      = "ListForHeartbeat"
        Effect   = "Allow"
        Action   = ["secretsmanager:ListSecrets"]
        Resource = ["*"]
      }],
      [{
        Sid      = "WriteOwnLog"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${var.function_name}:*"]
      }],
      # These actions cannot be confined to a subnet: Lambda makes the interfaces before it knows them.
      [for _ in range(local.may_have_interfaces ? 1 : 0) : {
        Sid      = "HaveNetworkInterfaces"
        Effect   = "Allow"
        Action   = local.interface_actions
        Resource = ["*"]
      }],
      # The Lambda service needs them, the code in the function does not.
      [for _ in range(local.may_have_interfaces ? 1 : 0) : {
        Sid       = "DenyNetworkInterfacesToCode"
        Effect    = "Deny"
        Action    = local.interface_actions
        Resource  = ["*"]
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn } }
      }],
    )
  })
}
