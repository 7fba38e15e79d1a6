output "rotation_lambda_arn" {
  description = "The function, for `rotation_lambda_arn` of aws_secretsmanager_secret_rotation. Known once Secrets Manager may invoke it."
  value       = aws_lambda_function.rotation.arn
  depends_on  = [aws_lambda_permission.secrets_manager, aws_iam_role_policy.function]
}

output "role_arn" {
  description = "The function's role, for policies of keys and of secrets in other accounts."
  value       = aws_iam_role.function.arn
}

output "security_group_id" {
  description = "The function's security group, to be allowed at the services; null if the module made none."
  value       = one(aws_security_group.function[*].id)
}

output "log_group_name" {
  description = "The function's log."
  value       = aws_cloudwatch_log_group.function.name
}

output "topic_arn" {
  description = "The topic that hears of failed rotations and alarms; null if the module made none. Nobody hears of them until you subscribe."
  value       = one(aws_sns_topic.failures[*].arn)
}
