data "aws_partition" "here" {}

data "archive_file" "pre_token_generation" {
  type        = "zip"
  output_path = "${path.module}/.terraform/pre-token-generation.zip"
  source {
    content  = file("${path.module}/../lambda/index.cjs")
    filename = "index.js"
  }
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "lambda" {
  name               = "${var.name}-pre-token-generation"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

# It may write its log, and nothing else.
resource "aws_iam_role_policy_attachment" "lambda_log" {
  role       = aws_iam_role.lambda.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "pre_token_generation" {
  function_name    = "${var.name}-pre-token-generation"
  role             = aws_iam_role.lambda.arn
  runtime          = "nodejs22.x"
  handler          = "index.handler"
  filename         = data.archive_file.pre_token_generation.output_path
  source_code_hash = data.archive_file.pre_token_generation.output_base64sha256
  # Cognito waits for five seconds.
  timeout = 5
  environment {
    variables = {
      TRAC_PERMISSIONS = jsonencode({ for group, names in var.groups : group => join(",", names) })
    }
  }
}

resource "aws_lambda_permission" "cognito" {
  function_name = aws_lambda_function.pre_token_generation.function_name
  action        = "lambda:InvokeFunction"
  principal     = "cognito-idp.amazonaws.com"
  source_arn    = aws_cognito_user_pool.trac.arn
}
